//! The exit codes of every subcommand. Uses nobody.

/// How the program ends, for scripts and workflow steps that decide by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: done.
    Success,
    /// 1: asked for something right, which could not be done; trying again later may help.
    Failure,
    /// 2: asked for something wrong (arguments, settings, the file); trying again does not help. clap ends with 2 too.
    BadInput,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(match code {
            ExitCode::Success => 0,
            ExitCode::Failure => 1,
            ExitCode::BadInput => 2,
        })
    }
}
