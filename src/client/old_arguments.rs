//! The arguments of the first Simplepipe, from 2022: `python3 app.py FILE JOB`. A workflow step of that time needs no
//! more than this image, and its `command: [python3]` removed. Uses nobody.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What follows the program, where these are arguments of that time: `app.py` or a path to it, with or without Python
/// before it. It should be a file and a job.
pub fn after_program(arguments: &[OsString]) -> Option<&[OsString]> {
    let arguments = match arguments {
        [python, rest @ ..] if is_python(python) => rest,
        arguments => arguments,
    };
    match arguments {
        [app, rest @ ..] if file_name(app) == Some("app.py") => Some(rest),
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

    fn found(arguments: &[&str]) -> Option<Vec<OsString>> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        after_program(&arguments).map(<[_]>::to_vec)
    }

    #[rstest]
    #[case(&["app.py", "/tmp/metric-in.json", "simple"])]
    #[case(&["/app/app.py", "/tmp/metric-in.json", "simple"])]
    #[case(&["python3", "app.py", "/tmp/metric-in.json", "simple"])]
    #[case(&["/usr/bin/python", "/app/app.py", "/tmp/metric-in.json", "simple"])]
    fn steps_of_2022_are_understood(#[case] arguments: &[&str]) {
        let expected = vec!["/tmp/metric-in.json".into(), "simple".into()];
        assert_eq!(found(arguments), Some(expected));
    }

    #[rstest]
    #[case(&[])]
    #[case(&["push", "metric.json", "app.py"])]
    #[case(&["myapp.py", "metric.json", "simple"])]
    #[case(&["python3", "push", "simple"])]
    fn other_arguments_are_not_theirs(#[case] arguments: &[&str]) {
        assert_eq!(found(arguments), None);
    }
}
