//! How the program is linked, and what is made of the dashboards before it is compiled.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    // A static program that is loaded anywhere has tens of thousands of relocations: packed, half a megabyte less.
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    tenants_dashboards(&PathBuf::from(env::var("OUT_DIR")?))
}

/// Writes the tenant's dashboard without white space, which every tenant would store: once as it is, and once with the
/// row that only tenants with model servers have.
fn tenants_dashboards(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut dashboard = json("dashboards/tenant.json")?;
    fs::write(folder.join("tenant.json"), dashboard.to_string())?;

    let panels = dashboard["panels"].as_array_mut().ok_or("no panels")?;
    let line = |panel: &Value, side| panel["gridPos"][side].as_u64().ok_or("no gridPos");
    let mut bottom = 0;
    for panel in panels.iter() {
        bottom = bottom.max(line(panel, "y")? + line(panel, "h")?);
    }
    for panel in json("dashboards/model-servers.json")?
        .as_array()
        .ok_or("no list")?
    {
        let mut panel = panel.clone();
        panel["gridPos"]["y"] = (bottom + line(&panel, "y")?).into();
        panels.push(panel);
    }
    fs::write(
        folder.join("tenant-with-model-servers.json"),
        dashboard.to_string(),
    )?;
    Ok(())
}

fn json(file: &str) -> Result<Value, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={file}");
    Ok(serde_json::from_str(&fs::read_to_string(file)?)?)
}
