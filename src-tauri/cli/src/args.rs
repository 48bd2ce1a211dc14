//! The words of the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lapse_core::share::{Expiry, ShareId};

/// Share a file by a link that expires.
#[derive(Debug, Parser)]
#[command(name = "lapse", version, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Print one JSON object a line
    #[arg(long, global = true, display_order = 100)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put files into the bucket and print a link to each
    Share(ShareArgs),
    /// List shares, the newest first
    List,
    /// Show everything known of one share
    Show {
        /// The share's id, or its beginning
        id: ShareId,
    },
    /// Print the link of a share again
    Link {
        /// The share's id, or its beginning
        id: ShareId,
        #[command(flatten)]
        copy: Copy,
    },
    /// Ask the storage what is true of links (of all that live, if no ID is given)
    Check {
        /// The shares' ids, or their beginnings
        ids: Vec<ShareId>,
    },
    /// Make a new link to a share; the old one keeps its end
    Extend {
        /// The share's id, or its beginning
        id: ShareId,
        /// How long the new link lives: 30s, 15m, 6h, 1d, up to 7d
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        expires: Expiry,
        #[command(flatten)]
        copy: Copy,
    },
    /// Take links back and see that each is refused: of some shares, or all by a new signing key
    Revoke(Box<RevokeArgs>),
    /// Show what was revoked, when and how
    History,
    /// List uploads that aren't over
    Uploads(UploadsArgs),
    /// Let uploads wait (all that run, if no ID is given), whichever program sends them
    Pause {
        /// The shares' ids, or their beginnings
        ids: Vec<ShareId>,
    },
    /// Go on with uploads that were paused or cut off (all of them, if no ID is given) and print their links
    Resume {
        /// The shares' ids, or their beginnings
        ids: Vec<ShareId>,
        #[command(flatten)]
        copy: Copy,
    },
    /// End uploads and take away what arrived of them
    Cancel {
        /// The shares' ids, or their beginnings
        #[arg(required = true)]
        ids: Vec<ShareId>,
    },
    /// Where shares go: buckets and how to sign in
    Profile {
        #[command(subcommand)]
        command: Profile,
    },
    /// The store inside Lapse, for files that stay on this computer
    Store {
        #[command(subcommand)]
        command: Store,
    },
    /// Folders of which every new file is shared by itself
    Watch {
        #[command(subcommand)]
        command: Watch,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShareArgs {
    /// Files; `-` for standard input; `s3://BUCKET/KEY` for an object that is in a bucket already
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<OsString>,
    /// How long the link lives: 30s, 15m, 6h, 1d (if nothing is said), up to 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) expires: Option<Expiry>,
    /// The name that recipients see (for one file)
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Show images, video, audio, PDF and plain text in the browser instead of downloading them
    #[arg(long)]
    pub(crate) inline: bool,
    /// The profile to share with, instead of the one in use
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// A word that groups shares, to be revoked together
    #[arg(long)]
    pub(crate) label: Option<String>,
    #[command(flatten)]
    pub(crate) copy: Copy,
}

#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["ids", "all", "label"]))]
pub(crate) struct RevokeArgs {
    /// The shares' ids, or their beginnings
    pub(crate) ids: Vec<ShareId>,
    /// Every link that the profile's key signed, by a new key; the files stay
    #[arg(long)]
    pub(crate) all: bool,
    /// The shares of this label
    #[arg(long, conflicts_with = "all")]
    pub(crate) label: Option<String>,
    /// Leave the file in the bucket, at a key that no link leads to
    #[arg(long, conflicts_with = "all")]
    pub(crate) keep_file: bool,
    /// Delete the old versions that the bucket keeps of revoked shares
    #[arg(long, conflicts_with_all = ["all", "label", "keep_file"])]
    pub(crate) old_versions: bool,
    /// With --all: shares that get new links, up to the same end
    #[arg(long, value_name = "ID", conflicts_with_all = ["ids", "label"], num_args = 1..)]
    pub(crate) keep: Vec<ShareId>,
    /// With --all: don't ask
    #[arg(long, conflicts_with_all = ["ids", "label"])]
    pub(crate) yes: bool,
    /// With --all: the profile, instead of the one in use
    #[arg(long, conflicts_with_all = ["ids", "label"])]
    pub(crate) profile: Option<String>,
    /// With --all, where Lapse didn't make the key: every other program that uses it stops too
    #[arg(long, conflicts_with_all = ["ids", "label"])]
    pub(crate) stop_other_users_of_this_key: bool,
    /// With --all: delete this other key of the user to make room for a new one
    #[arg(long, value_name = "ID", conflicts_with_all = ["ids", "label"])]
    pub(crate) delete_key: Option<String>,
    /// With --all, where only you can switch keys: the new one that you made; its secret is asked for
    #[arg(long, value_name = "ID", conflicts_with_all = ["ids", "label"])]
    pub(crate) new_key: Option<String>,
    /// With --all, where links are signed by sessions of this role: end all its sessions, whoever uses it
    #[arg(long, value_name = "ROLE", conflicts_with_all = ["ids", "label"])]
    pub(crate) end_sessions_of_role: Option<String>,
    /// Read the new key's secret from standard input
    #[arg(long, requires = "new_key")]
    pub(crate) secret_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Watch {
    /// Share what is saved into a folder from now on
    Add(Box<WatchArgs>),
    /// List watched folders and how each goes
    List,
    /// Let a folder wait; its links live on
    Pause {
        /// The folder
        dir: PathBuf,
    },
    /// Go on with a folder, also where another disk is at its place now
    Resume {
        /// The folder
        dir: PathBuf,
    },
    /// Go on with a folder where it is now; of another one, what is in it already is left alone
    Locate {
        /// The folder, as it was
        dir: PathBuf,
        /// Where it is now
        now: PathBuf,
    },
    /// Watch a folder no more; its files aren't touched
    Remove {
        /// The folder
        dir: PathBuf,
        /// Its links live to their end
        #[arg(long, conflicts_with = "revoke_links")]
        keep_links: bool,
        /// Its links are revoked
        #[arg(long)]
        revoke_links: bool,
    },
    /// Watch until Ctrl-C, where no window does; prints no link
    Run,
    /// Print a systemd unit that does so
    Unit,
}

#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// The folder
    pub(crate) dir: PathBuf,
    /// How long its links live: 30s, 15m, 6h, 1d, up to 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) expires: Option<Expiry>,
    /// The profile to share with, instead of the one in use
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Leave names alone, as in .gitignore: *.log, /drafts/, !keep.log
    #[arg(long, value_name = "PATTERN")]
    pub(crate) ignore: Vec<String>,
    /// Look into the folders in it, too
    #[arg(long)]
    pub(crate) recursive: bool,
    /// Share what is in it already
    #[arg(long)]
    pub(crate) existing: bool,
    /// Put its newest link on the clipboard
    #[arg(long)]
    pub(crate) copy: bool,
    /// A word that groups its shares, to be revoked together
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// When a file changes, revoke the link to what it was
    #[arg(long)]
    pub(crate) withdraw: bool,
    /// Move each file to «Shared» in it, once it is shared
    #[arg(long, conflicts_with_all = ["run", "withdraw"])]
    pub(crate) r#move: bool,
    /// Run a program for each file that is shared: it reads the link from its standard input
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) run: Option<String>,
    /// A word for that program
    #[arg(long, value_name = "WORD", requires = "run", allow_hyphen_values = true)]
    pub(crate) with: Vec<String>,
    /// Don't ask, though it is a folder with much in it
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UploadsArgs {
    /// Take away what is left at the storage of uploads that were given up; list those of others under the prefix
    #[arg(long)]
    pub(crate) clean: bool,
    /// The profile whose prefix is looked through for those of others, instead of the one in use
    #[arg(long, requires = "clean")]
    pub(crate) profile: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Copy {
    /// Draw the link as a QR code too
    #[arg(long)]
    pub(crate) qr: bool,
    /// Leave the clipboard alone
    #[arg(long)]
    pub(crate) no_copy: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// Add a bucket, once its keys open it
    Add(Box<ProfileArgs>),
    /// List profiles
    List,
    /// Show a profile and what its last check found
    Show {
        /// The profile's name
        name: String,
    },
    /// Share with this profile from now on
    Use {
        /// The profile's name
        name: String,
    },
    /// Try on the real bucket what links rely on
    Check {
        /// The profile's name; the one in use if none is given
        name: Option<String>,
    },
    /// Let the bucket give up uploads that nobody goes on with: shows the lifecycle rule, and adds it with --yes
    Lifecycle {
        /// The profile's name; the one in use if none is given
        name: Option<String>,
        /// Add the rule to those that the bucket has
        #[arg(long)]
        yes: bool,
    },
    /// The user that signs a profile's links
    Signer {
        #[command(subcommand)]
        command: Signer,
    },
    /// Switch the key on again that was switched off last; its links open again
    RestoreKey {
        /// The profile's name; the one in use if none is given
        name: Option<String>,
    },
    /// Forget a profile and its secret; the bucket isn't touched
    Remove {
        /// The profile's name
        name: String,
        /// Remove it though links of it live; they can't be taken back from here afterwards
        #[arg(long)]
        keep_links: bool,
    },
}

#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("sign_in").required(true))]
pub(crate) struct ProfileArgs {
    /// What to call it
    pub(crate) name: String,
    /// aws, r2, b2, wasabi, digitalocean, hetzner, scaleway, garage, ceph, seaweedfs, minio or other
    #[arg(long, default_value = "other")]
    pub(crate) provider: String,
    /// Scheme and host of the server, where the provider's own isn't meant
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The bucket's region
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The bucket
    #[arg(long)]
    pub(crate) bucket: String,
    /// What object keys begin with
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Put the bucket into the path rather than the host name
    #[arg(long)]
    pub(crate) path_style: bool,
    /// The access key's id; its secret is asked for, or read with --secret-stdin
    #[arg(long, value_name = "ID", group = "sign_in")]
    pub(crate) access_key: Option<String>,
    /// Read the secret from standard input
    #[arg(long, requires = "access_key")]
    pub(crate) secret_stdin: bool,
    /// Sign in as this profile of the AWS tools (keys, SSO or a role)
    #[arg(long, value_name = "NAME", group = "sign_in")]
    pub(crate) aws_profile: Option<String>,
    /// Sign in as the AWS tools do with no profile named (environment, files, the machine's role)
    #[arg(long, group = "sign_in")]
    pub(crate) aws_default: bool,
    /// PEM certificates to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = "WHEN",
        help = "When to delete files whose links have all ended: never, at_end, 7d or 30d later"
    )]
    pub(crate) clean_up: Option<String>,
    /// Make the bucket if it isn't there
    #[arg(long)]
    pub(crate) create_bucket: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Signer {
    /// Make a user that only signs links, so that revoking all of them stops nothing else
    #[command(group = ArgGroup::new("admin").required(true))]
    Create {
        /// The profile's name; the one in use if none is given
        name: Option<String>,
        /// An access key that may make users; its secret is asked for, and neither is kept
        #[arg(long, value_name = "ID", group = "admin")]
        admin_access_key: Option<String>,
        /// Read that secret (or Garage's admin token) from standard input
        #[arg(long, conflicts_with = "admin_aws_profile")]
        secret_stdin: bool,
        /// Where Garage's admin API listens; its token is asked for, and not kept
        #[arg(long, value_name = "URL", group = "admin")]
        admin_endpoint: Option<String>,
        /// Sign in for that as this profile of the AWS tools
        #[arg(long, value_name = "NAME", group = "admin")]
        admin_aws_profile: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    Loopback,
    Lan,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Host the store until Ctrl-C
    Run {
        /// Let go of the terminal, and end when no link needs it
        #[arg(long, hide = true)]
        background: bool,
    },
    /// Say whether the store runs, where, and what it holds
    Status,
    /// Read every stored file and say what isn't as it was stored
    Check,
    /// End the process that hosts the store; its links sleep until it runs again
    Stop,
    /// Say where the store listens, or choose it: this computer only, or the local network too
    Listen {
        /// The local network, unencrypted, until the network changes; or this computer only
        place: Option<Place>,
        /// The interface, where this computer is in several networks
        #[arg(long, value_name = "NAME", requires = "place")]
        interface: Option<String>,
    },
    /// Print what other S3 clients need, as shell exports
    Env,
}
