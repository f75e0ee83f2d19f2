//! Archives built from commits: the same bytes for the same commit, on any machine, from any clone (protocol B.3).
//!
//! What goes in is what `git archive` puts in, less what `archive.exclude` in that commit's `composer.json` takes
//! out. Contents are those of the repository: no line-ending conversion, no keyword expansion, no submodules and no
//! large files kept elsewhere, as in the archives of the git hosts.

mod attributes;
mod chunks;
mod exclude;
mod glob;
mod walk;
mod zip;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use gix::ObjectId;
use package_broker_core::{
    domain::archive::{ArchiveDefect, ArchiveFormat},
    ports::source::{ArchiveSink, SourceError, WantedArchive},
};
use tokio::sync::mpsc;

use self::{
    chunks::Chunks,
    exclude::Exclude,
    walk::{TreeFile, Walk},
    zip::{Entry, Zip},
};
use super::{
    manifest, mirror::View, session::Session, trouble::Trouble, upstream::Upstream,
    versions::DIST_SCHEME,
};

/// Beyond this size, in bytes, files are packed one at a time, whatever the number of archives being built: the whole
/// content of a file is in memory, and what it is packed into.
const LARGE_FILE: u64 = 8 << 20;
static ONE_LARGE_FILE: Mutex<()> = Mutex::new(());

/// Builds the archive that is wanted into `sink`.
///
/// # Errors
/// [`SourceError::Gone`] if no such commit is known here or there, [`SourceError::Defective`] if it is too large.
pub(super) async fn build(
    upstream: &Arc<Upstream>,
    wanted: &WantedArchive,
    sink: &mut ArchiveSink,
) -> Result<(), SourceError> {
    let job = Job {
        upstream: Arc::clone(upstream),
        limit: sink.limit(),
        order: Order::of(wanted)?,
    };
    let (sender, mut chunks) = Chunks::channel();
    let working = upstream.run("build an archive", move |session| job.work(session, sender));
    // When the sink refuses, this ends and drops the receiver, which stops the builder.
    let copying = async move {
        while let Some(chunk) = chunks.recv().await {
            sink.write(chunk).await?;
        }
        Ok(())
    };
    let (worked, copied) = tokio::join!(working, copying);
    // If the sink refused, the builder's failure is only the consequence.
    copied.and(worked)
}

/// Which commit, under which folder.
struct Order {
    what: String,
    commit: ObjectId,
    folder: String,
}

impl Order {
    fn of(wanted: &WantedArchive) -> Result<Self, SourceError> {
        let dist = wanted.version.dist();
        let marked = dist.and_then(|dist| dist.url.strip_prefix(DIST_SCHEME));
        let reference = wanted.reference.as_deref().or(marked).unwrap_or_default();
        let what = format!(
            "{} at {}",
            wanted.package,
            reference.chars().take(64).collect::<String>()
        );
        let gone = |problem: &str| SourceError::Gone {
            what: what.clone(),
            problem: problem.to_owned(),
        };
        if wanted.format != ArchiveFormat::Zip {
            return Err(gone("archives of git repositories are zip files"));
        }
        let commit =
            ObjectId::from_hex(reference.as_bytes()).map_err(|_| gone("it is no commit"))?;
        let short: String = reference.to_ascii_lowercase().chars().take(7).collect();
        let folder = format!(
            "{}-{}-{short}",
            wanted.package.vendor(),
            wanted.package.short()
        );
        Ok(Self {
            what,
            commit,
            folder,
        })
    }
}

/// The building of one archive, on a thread of its own.
struct Job {
    upstream: Arc<Upstream>,
    limit: u64,
    order: Order,
}

impl Job {
    fn work(&self, session: &Arc<Session>, sender: mpsc::Sender<Bytes>) -> Result<(), SourceError> {
        let view = self
            .with_commit(session)
            .map_err(|trouble| self.upstream.give_up(trouble))?;
        let out = Chunks::to(sender);
        // If it is damaged, part of the archive is out already; the next request looks into it.
        let written = self.write(&view, session, out);
        self.upstream
            .judged(&view, written)
            .map_err(|trouble| self.upstream.give_up(trouble))
    }

    /// Opens the mirror; asks the remote, once, for a commit that it lacks, or if there is doubt about the mirror.
    fn with_commit(&self, session: &Arc<Session>) -> Result<View, Trouble> {
        if self.upstream.mirror.is_trusted()
            && let Some(view) = self.find_commit()?
        {
            return Ok(view);
        }
        let looked = self.upstream.look(None, session);
        if let Some(view) = self.find_commit()? {
            // Perhaps in a mirror that is in doubt still: of what is damaged, most can be read.
            return Ok(view);
        }
        looked?;
        Err(Trouble::Source(SourceError::Gone {
            what: self.order.what.clone(),
            problem: format!(
                "no branch or tag of {} has this commit",
                self.upstream.access.address
            ),
        }))
    }

    /// The mirror, if it has the commit.
    fn find_commit(&self) -> Result<Option<View>, Trouble> {
        let Some(view) = self.upstream.mirror.open() else {
            return Ok(None);
        };
        let header = view.try_find_header(self.order.commit);
        let header = self
            .upstream
            .judged(&view, header.map_err(Trouble::damaged));
        match header {
            Ok(header) => {
                let found = header.is_some_and(|header| header.kind().is_commit());
                Ok(found.then_some(view))
            }
            // The remote may have it whole.
            Err(Trouble::Damaged(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn write(
        &self,
        repository: &gix::Repository,
        session: &Session,
        out: Chunks,
    ) -> Result<(), Trouble> {
        let commit = repository
            .find_commit(self.order.commit)
            .map_err(Trouble::damaged)?;
        let time = commit.time().map_err(Trouble::damaged)?.seconds;
        let tree = commit.tree().map_err(Trouble::damaged)?;
        let path = self.upstream.path.as_deref();
        let exclude = self.exclude(repository, &tree)?;
        let files = Walk::new(repository, session, exclude.can_restore())
            .files(&tree, path)
            .map_err(|trouble| self.name(trouble))?;
        let mut zip = Zip::new(out, time);
        zip.folder(&self.order.folder)
            .map_err(|error| writing(&error))?;
        for file in &files {
            if session.is_stopped() {
                return Err(writing(&io::Error::other("the building was stopped")));
            }
            if !exclude.decides(&file.path, file.ignored) {
                self.add(repository, file, &mut zip)?;
            }
        }
        let mut out = zip.finish().map_err(|error| writing(&error))?;
        out.flush().map_err(|error| writing(&error))
    }

    /// What `archive.exclude` of the commit says. A commit without a readable `composer.json` excludes nothing.
    fn exclude(
        &self,
        repository: &gix::Repository,
        tree: &gix::Tree<'_>,
    ) -> Result<Exclude, Trouble> {
        let Ok(blob) = manifest::locate(tree, self.upstream.path.as_deref())? else {
            return Ok(Exclude::default());
        };
        // Whatever the installation's limits are: the same commit gives the same bytes each time.
        let manifest = manifest::read(repository, blob, manifest::MAX_MANIFEST)?;
        Ok(manifest
            .map(|manifest| Exclude::new(&manifest.exclude))
            .unwrap_or_default())
    }

    fn add(
        &self,
        repository: &gix::Repository,
        file: &TreeFile,
        zip: &mut Zip<Chunks>,
    ) -> Result<(), Trouble> {
        let too_large = || {
            Trouble::Source(SourceError::Defective(ArchiveDefect::TooLarge {
                limit: self.limit,
            }))
        };
        // The whole content is in memory for a moment, so it is bounded before it is read.
        let size = repository
            .find_header(file.blob)
            .map_err(Trouble::damaged)?
            .size();
        if size > self.limit {
            return Err(too_large());
        }
        let _turn = (size > LARGE_FILE).then(|| {
            ONE_LARGE_FILE
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        });
        let content = repository
            .find_object(file.blob)
            .map_err(Trouble::damaged)?;
        let name = [self.order.folder.as_bytes(), b"/", &file.path].concat();
        let entry = Entry {
            name: &name,
            kind: file.kind,
            content: &content.data,
        };
        if !walk::is_safe(file, &content.data) {
            return Ok(());
        }
        zip.add(&entry).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => too_large(),
            _ => writing(&error),
        })
    }

    fn name(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Source(SourceError::Invalid { problem, .. }) => {
                Trouble::Source(SourceError::Invalid {
                    what: self.order.what.clone(),
                    problem,
                })
            }
            other => other,
        }
    }
}

fn writing(error: &io::Error) -> Trouble {
    Trouble::Source(SourceError::Unavailable {
        what: "the archive".to_owned(),
        problem: format!("it could not be written: {error}"),
        retry_after: None,
    })
}
