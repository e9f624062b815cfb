//! What a system's packager and a shell want of the command: its man page, and the completion of its flags.
//!
//! Both are made from the command that reads the arguments, and so from the rows. Owns what is not in the rows: the
//! page's other sections. Never prints. Read next: `cli.rs`.

use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};
use clap_mangen::Man;

use super::table;

pub(super) const COMPLETION: &str = "completion";
pub(super) const MAN: &str = "man";
const NAME: &str = "rwsgi";
const SHELLS: [&str; 3] = ["bash", "fish", "zsh"];

const SECTIONS: &str = r#".SH "EXIT STATUS"
.TP
0
Stopped as asked.
.TP
1
Bad configuration, or an address that cannot be had.
.TP
2
A command line that cannot be read.
.TP
3
A worker could not boot.
.TP
4
The application could not be loaded.
.SH SIGNALS
.TP
TERM
Stop, letting requests finish.
.TP
INT, QUIT
Stop at once.
.TP
HUP
Reload code and configuration.
.TP
TTIN, TTOU
One worker more, one less.
.TP
USR1
Reopen the logs.
.TP
USR2
Start a new master beside this one.
.TP
WINCH
Stop the workers of a daemon, keep the master.
"#;

/// The flags that ask for these texts.
pub(super) fn flags() -> [Arg; 2] {
    let completion = Arg::new(COMPLETION)
        .long(COMPLETION)
        .value_name("SHELL")
        .value_parser(SHELLS)
        .help("Print the completion for bash, fish or zsh")
        .long_help(
            "Print the completion of the flags for a shell.\n\nIn bash: source <(rwsgi --completion bash)",
        );
    let man = Arg::new(MAN).long(MAN).action(ArgAction::SetTrue).help("Print the man page");
    [completion, man].map(|flag| flag.help_heading("Help"))
}

/// The script for the shell of this name; empty for any other.
pub(super) fn completion(command: Command, shell: &str) -> String {
    let mut command = hinted(&command);
    let mut script = Vec::new();
    match shell {
        "bash" => generate(Bash, &mut command, NAME, &mut script),
        "fish" => generate(Fish, &mut command, NAME, &mut script),
        "zsh" => generate(Zsh, &mut command, NAME, &mut script),
        _ => {}
    }
    String::from_utf8_lossy(&script).into_owned()
}

/// The flags that work, and of each value what a shell can complete.
fn hinted(command: &Command) -> Command {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set()).cloned();
    let command = Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(shown);
    table::rows().filter(|row| row.works() && !row.facts.flags.is_empty()).fold(command, |command, row| {
        let choices = (row.choices)();
        command.mut_arg(row.name, |argument| match row.facts.metavar {
            "" => argument,
            _ if !choices.is_empty() => argument.value_parser(choices),
            "FILE" | "PATH" => argument.value_hint(ValueHint::FilePath),
            "DIR" => argument.value_hint(ValueHint::DirPath),
            _ => argument.value_hint(ValueHint::Other),
        })
    })
}

pub(super) fn man_page(command: Command) -> std::io::Result<String> {
    let man = Man::new(command.no_binary_name(false)).manual("rwsgi manual");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend_from_slice(SECTIONS.as_bytes());
    Ok(String::from_utf8_lossy(&page).into_owned())
}
