//! Writes the definitions of the kinds to `crds/yaml/` and into the charts, or checks with `--check`
//! that they are current.

use std::{fs, path::Path, process::ExitCode};

use package_broker_crds::{definitions, render};

fn main() -> ExitCode {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(_) => {
            eprintln!("usage: crdgen [--check]");
            return ExitCode::from(2);
        }
    };
    let crds = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [
        "yaml",
        "../charts/package-broker-operator/files/crds",
        "../charts/package-broker-crds/files/crds",
    ] {
        if let Err(message) = run(&crds.join(folder), check) {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(folder: &Path, check: bool) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for definition in definitions() {
        let plural = definition["spec"]["names"]["plural"]
            .as_str()
            .unwrap_or_default();
        let path = folder.join(format!("{plural}.yaml"));
        let text = render(&definition);
        if !check {
            fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            return Err(format!(
                "{} is out of date; run crdgen without --check",
                path.display()
            ));
        }
    }
    Ok(())
}
