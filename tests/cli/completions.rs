//! Completions that their shells can read.

use lapse_tests::{Lapse, Output};

#[test]
fn bash_zsh_and_fish_take_their_completions() {
    let lapse = Lapse::new();
    // What each shell is asked: does it know what comes after `lapse sh`?
    for (shell, ask) in [
        (
            "bash",
            ". ./lapse.bash; COMP_WORDS=(lapse sh); COMP_CWORD=1; _lapse lapse sh lapse; echo \"${COMPREPLY[@]}\"",
        ),
        ("zsh", "autoload -U compinit; compinit -D -u; . ./lapse.zsh; whence -f _lapse_commands"),
        ("fish", "source ./lapse.fish; complete --do-complete 'lapse sh'"),
    ] {
        let script = lapse.run(["completions", shell]).success().stdout;
        lapse.file(format!("lapse.{shell}"), script);
        let answer = Output::of(&mut lapse.any(&[shell, "-c", ask])).success();
        assert!(
            answer.stdout.contains("share") && answer.stdout.contains("show"),
            "{shell}: {answer:#?}"
        );
        assert_eq!(answer.stderr, "", "{shell}");
        assert!(!answer.stdout.contains("hold-clipboard"), "{shell} offers a hidden command");
    }
}
