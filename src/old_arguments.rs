//! The arguments of the first Simplepipe, from 2022: `python3 app.py FILE JOB`. A workflow step of that time needs no
//! more than this image, and its `command: [python3]` removed. Uses nobody.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The file and the job, where these are arguments of that time: `app.py FILE JOB` or a path to it, with or without
/// Python before it.
pub fn file_and_job(arguments: &[OsString]) -> Option<(OsString, OsString)> {
    let arguments = match arguments {
        [python, rest @ ..] if is_python(python) => rest,
        arguments => arguments,
    };
    match arguments {
        [app, file, job] if file_name(app) == Some("app.py") => Some((file.clone(), job.clone())),
        _ => None,
    }
}

fn is_python(argument: &OsStr) -> bool {
    matches!(file_name(argument), Some("python" | "python3"))
}

fn file_name(argument: &OsStr) -> Option<&str> {
    Path::new(argument).file_name()?.to_str()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn found(arguments: &[&str]) -> Option<(OsString, OsString)> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        file_and_job(&arguments)
    }

    #[rstest]
    #[case(&["app.py", "/tmp/metric-in.json", "simple"])]
    #[case(&["/app/app.py", "/tmp/metric-in.json", "simple"])]
    #[case(&["python3", "app.py", "/tmp/metric-in.json", "simple"])]
    #[case(&["/usr/bin/python", "/app/app.py", "/tmp/metric-in.json", "simple"])]
    fn steps_of_2022_are_understood(#[case] arguments: &[&str]) {
        let expected = ("/tmp/metric-in.json".into(), "simple".into());
        assert_eq!(found(arguments), Some(expected));
    }

    #[rstest]
    #[case(&[])]
    #[case(&["push", "metric.json", "app.py"])]
    #[case(&["app.py", "metric.json"])]
    #[case(&["app.py", "metric.json", "simple", "more"])]
    #[case(&["myapp.py", "metric.json", "simple"])]
    #[case(&["python3", "push", "simple"])]
    fn other_arguments_are_not_theirs(#[case] arguments: &[&str]) {
        assert_eq!(found(arguments), None);
    }
}
