//! The exit codes of every subcommand that fails; 0 is for what was done. Uses nobody.

/// How the program ends when it could not do what it was asked, for scripts and workflow steps that decide by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 1: asked for something right, which could not be done; trying again later may help.
    Failure,
    /// 2: asked for something wrong (arguments, settings, the file); trying again does not help. clap ends with 2 too.
    BadInput,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(match code {
            ExitCode::Failure => 1,
            ExitCode::BadInput => 2,
        })
    }
}
