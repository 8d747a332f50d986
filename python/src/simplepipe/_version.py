"""The version, for everybody; pyproject.toml reads it from here."""

VERSION = "0.1.0"
