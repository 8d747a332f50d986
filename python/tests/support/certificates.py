"""Certificates of a test's own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """And its key."""

    file: Path
    key: Path


def make(folder: Path, name: str, *more: str, signed_by: Certificate | None = None) -> Certificate:
    """Its own CA where nobody signs it."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    signer = [] if signed_by is None else ["-CA", str(signed_by.file), "-CAkey", str(signed_by.key)]
    options = f"-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout {made.key} -out {made.file}"
    subprocess.run(
        ["openssl", "req", "-x509", "-subj", f"/CN={name}", *options.split(), *signer, *more],
        check=True,
        capture_output=True,
    )
    return made
