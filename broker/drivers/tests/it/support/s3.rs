//! A real S3 service in this process: `s3s` over a folder, on a free port of loopback, with what it lacks of the
//! larger services: tags in listings, conditional reads, public buckets, and failures on demand.
//!
//! The end-to-end tests take this file by its path, so it stands on nothing of this crate.

use std::{
    collections::HashSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    thread,
};

use hyper::{HeaderMap, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::{
    S3, S3Request, S3Response, S3Result,
    access::{S3Access, S3AccessContext},
    auth::SimpleAuth,
    crypto::{Checksum, Md5},
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
        CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
        DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition, GetObjectInput,
        GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
        ListObjectsV2Output, PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
    },
    path::S3Path,
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Without the query, escaped.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    pub(crate) fn is_listing(&self) -> bool {
        self.query.contains("list-type=2")
    }
}

/// A running service; it ends with the value.
pub(crate) struct S3Server {
    address: SocketAddr,
    folder: TempDir,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

struct Shared {
    root: PathBuf,
    requests: Mutex<Vec<Seen>>,
    /// Keys a page.
    page: AtomicI32,
    /// Whether listings and conditions know tags.
    tags: AtomicBool,
    /// Keys that are answered with 500; `*` stands for every request.
    failing: Mutex<HashSet<String>>,
}

impl S3Server {
    pub(crate) const KEY: &'static str = "AKIATEST";
    pub(crate) const SECRET: &'static str = "not/a+real=secret";
    /// Everybody may read this bucket.
    pub(crate) const PUBLIC: &'static str = "public";

    /// Starts a service without buckets.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared {
            root: folder.path().to_owned(),
            requests: Mutex::default(),
            page: AtomicI32::new(1000),
            tags: AtomicBool::new(true),
            failing: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        // A runtime of its own, so that tests without one can have it as well.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            folder,
            shared,
            _stop: stop,
        }
    }

    /// The URL of the service.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The folder that has a folder for each bucket, and beside them what the service keeps of unfinished uploads.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Puts an object, and its bucket; `path` is `bucket/key`.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let file = self.folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let incoming = self.folder.path().join(".incoming");
        fs::write(&incoming, bytes).unwrap();
        fs::rename(incoming, file).unwrap();
    }

    /// Removes an object.
    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    /// From now on, a page of a listing has so many keys.
    pub(crate) fn page(&self, keys: i32) {
        self.shared.page.store(keys, Ordering::SeqCst);
    }

    /// From now on, listings have no tags and conditions are ignored.
    pub(crate) fn without_tags(&self) {
        self.shared.tags.store(false, Ordering::SeqCst);
    }

    /// From now on, only these keys are answered with 500; `*` stands for every request.
    pub(crate) fn fail(&self, keys: &[&str]) {
        *self.shared.failing.lock().unwrap() = keys.iter().map(|key| (*key).to_owned()).collect();
    }

    /// Everything asked so far, and forgets it.
    pub(crate) fn take_requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// How many listings and objects were asked for since the last look.
    pub(crate) fn take_counts(&self) -> (usize, usize) {
        let requests = self.take_requests();
        let listings = requests.iter().filter(|seen| seen.is_listing()).count();
        (listings, requests.len() - listings)
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let service = service(&shared);
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            return;
        };
        let (service, shared) = (service.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let answer = service_fn(move |request: hyper::Request<Incoming>| {
                shared.requests.lock().unwrap().push(Seen {
                    path: request.uri().path().to_owned(),
                    query: request.uri().query().unwrap_or_default().to_owned(),
                    headers: request.headers().clone(),
                });
                let (service, fails) = (
                    service.clone(),
                    shared.failing.lock().unwrap().contains("*"),
                );
                async move {
                    if fails {
                        let mut failure = hyper::Response::new(s3s::Body::empty());
                        *failure.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
                        return Ok(failure);
                    }
                    service.call(request.map(s3s::Body::from)).await
                }
            });
            // A connection that breaks concerns only its peer, who notices by itself.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), answer)
                .await;
        });
    }
}

fn service(shared: &Arc<Shared>) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Store {
        files: FileSystem::new(&shared.root).unwrap(),
        shared: Arc::clone(shared),
    });
    builder.set_auth(SimpleAuth::from_single(S3Server::KEY, S3Server::SECRET));
    builder.set_access(Policy);
    builder.build()
}

/// Who may do what.
struct Policy;

#[async_trait::async_trait]
impl S3Access for Policy {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let public = match context.s3_path() {
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. } => {
                **bucket == *S3Server::PUBLIC
            }
            S3Path::Root => false,
        };
        if public || context.credentials().is_some() {
            Ok(())
        } else {
            Err(s3_error!(AccessDenied))
        }
    }
}

/// The folder, with what it lacks.
struct Store {
    files: FileSystem,
    shared: Arc<Shared>,
}

impl Store {
    fn tag(&self, bucket: &str, key: &str) -> Option<ETag> {
        let bytes = fs::read(Path::new(&self.shared.root).join(bucket).join(key)).ok()?;
        let mut md5 = Md5::new();
        md5.update(&bytes);
        let hex = md5.finalize().map(|byte| format!("{byte:02x}")).concat();
        Some(ETag::Strong(hex))
    }

    fn knows_tags(&self) -> bool {
        self.shared.tags.load(Ordering::SeqCst)
    }
}

/// Answers of the folder as they are.
macro_rules! forward {
    ($($name:ident: $input:ty => $output:ty),+ $(,)?) => {
        $(
            fn $name<'a, 'b>(
                &'a self,
                request: S3Request<$input>,
            ) -> Pin<Box<dyn Future<Output = S3Result<S3Response<$output>>> + Send + 'b>>
            where
                'a: 'b,
                Self: 'b,
            {
                self.files.$name(request)
            }
        )+
    };
}

#[async_trait::async_trait]
impl S3 for Store {
    forward!(
        put_object: PutObjectInput => PutObjectOutput,
        head_object: HeadObjectInput => HeadObjectOutput,
        delete_object: DeleteObjectInput => DeleteObjectOutput,
        create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
        upload_part: UploadPartInput => UploadPartOutput,
        complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
        abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
    );

    async fn list_objects_v2(
        &self,
        mut request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        request.input.max_keys = Some(self.shared.page.load(Ordering::SeqCst));
        let bucket = request.input.bucket.clone();
        let escaped = request.input.encoding_type.is_some();
        let mut answer = self.files.list_objects_v2(request).await?;
        for object in answer.output.contents.iter_mut().flatten() {
            let Some(key) = object.key.take() else {
                continue;
            };
            if self.knows_tags() {
                object.e_tag = self.tag(&bucket, &key);
            }
            object.key = Some(if escaped { escape(&key) } else { key });
        }
        Ok(answer)
    }

    async fn get_object(
        &self,
        mut request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &mut request.input;
        if self.shared.failing.lock().unwrap().contains(&input.key) {
            return Err(s3_error!(InternalError));
        }
        if let Some(ETagCondition::ETag(expected)) = input.if_match.take()
            && self.knows_tags()
            && let Some(tag) = self.tag(&input.bucket, &input.key)
            && tag != expected
        {
            return Err(s3_error!(PreconditionFailed));
        }
        self.files.get_object(request).await
    }
}

/// A key as listings have it on demand.
fn escape(key: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
            char::from(byte).to_string()
        }
        b' ' => "+".to_owned(),
        _ => format!("%{byte:02X}"),
    };
    key.bytes().map(escape).collect()
}
