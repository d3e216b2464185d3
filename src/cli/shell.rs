//! `twodoors completions` and `twodoors man`: what a shell and a manual reader need.

use clap::{Args as ClapArgs, CommandFactory};

use super::{Cli, Exit, Io};

/// Print the completions of a shell.
#[derive(Clone, Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Print the manual page.
#[derive(Clone, Debug, ClapArgs)]
pub struct ManArgs {
    /// The verb; without one the page of the program itself.
    pub verb: Option<String>,
}

/// Runs `completions`.
pub fn completions(args: &CompletionsArgs, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "twodoors", &mut text);
    io.out.write_all(&text)?;
    Ok(Exit::Success)
}

/// Runs `man`.
pub fn man(args: &ManArgs, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    if let Some(verb) = &args.verb {
        match command.find_subcommand(verb) {
            Some(found) => {
                command = found.clone().display_name(format!("twodoors-{verb}"));
            }
            None => {
                writeln!(
                    io.err,
                    "error: there is no verb {verb:?}; `twodoors help` lists them"
                )?;
                return Ok(Exit::Usage);
            }
        }
    }
    clap_mangen::Man::new(command).render(&mut io.out)?;
    Ok(Exit::Success)
}
