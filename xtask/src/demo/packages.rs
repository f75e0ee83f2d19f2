//! Which packages the demo serves: real ones where apt has them, else the bundled examples.

use anyhow::{Context, Result};
use package_broker_e2e::tree::PackageTree;

use crate::{setup, workspace};

/// Debian sources of the real selection.
const DEBIAN_SOURCES: [&str; 5] = [
    "php-monolog",
    "php-psr-log",
    "php-psr-container",
    "php-pimple",
    "php-nikic-fast-route",
];

/// Uses each of the real packages.
const REAL_SCRIPT: &str = r#"
$services = new Pimple\Container();
$services['log'] = fn () => (new Monolog\Logger('demo'))
    ->pushHandler(new Monolog\Handler\StreamHandler('php://stdout'));
$router = FastRoute\simpleDispatcher(fn ($routes) => $routes->addRoute('GET', '/hello/{name}', 'hello'));
$route = $router->dispatch('GET', '/hello/composer');
$services['log']->info("pimple, fast-route and monolog work: {$route[1]} {$route[2]['name']}");
"#;

/// Uses each of the bundled packages.
const BUNDLED_SCRIPT: &str = r"
echo (new Acme\AppKit\App(new Acme\Lib\Greeter(), new Acme\Clock\FixedClock('12:00')))->run(), PHP_EOL;
";

/// Packages by the kind of source that will serve them.
pub(super) struct Selection {
    /// A sentence for the reader.
    pub(super) about: String,
    /// Each becomes a git repository with a tag.
    pub(super) git: Vec<PackageTree>,
    /// Together they become a Composer repository.
    pub(super) composer: Vec<PackageTree>,
    /// Each becomes a zip in a folder.
    pub(super) artifacts: Vec<PackageTree>,
    /// PHP code that uses them.
    pub(super) script: String,
}

impl Selection {
    /// Names of all packages.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.git.iter().chain(&self.composer).chain(&self.artifacts);
        all.map(|tree| tree.name.as_str())
    }
}

/// The real packages if apt delivers all of them, else the bundled ones.
pub(super) fn select() -> Result<Selection> {
    let reason = match setup::debian_sources::available(&DEBIAN_SOURCES) {
        Ok(trees) => match real(trees) {
            Some(selection) => return Ok(selection),
            None => "apt does not have all the sources of the real ones".to_owned(),
        },
        Err(error) => format!("apt cannot be asked for real ones: {error:#}"),
    };
    bundled(&reason)
}

fn real(trees: Vec<PackageTree>) -> Option<Selection> {
    let mut selection = Selection {
        about: String::new(),
        git: Vec::new(),
        composer: Vec::new(),
        artifacts: Vec::new(),
        script: REAL_SCRIPT.to_owned(),
    };
    for tree in trees {
        match tree.name.as_str() {
            "monolog/monolog" => selection.git.push(tree),
            "psr/log" | "psr/container" => selection.composer.push(tree),
            "pimple/pimple" | "nikic/fast-route" => selection.artifacts.push(tree),
            _ => {}
        }
    }
    let complete = selection.names().count() == DEBIAN_SOURCES.len();
    "real packages, from Debian's source packages".clone_into(&mut selection.about);
    complete.then_some(selection)
}

fn bundled(reason: &str) -> Result<Selection> {
    let tree = |folder: &str| {
        let path = workspace().join("examples/packages").join(folder);
        PackageTree::read(&path, "1.0.0").context("the bundled example packages")
    };
    Ok(Selection {
        about: format!("the example packages in examples/packages, as {reason}"),
        git: vec![tree("lib")?],
        composer: vec![tree("app-kit")?],
        artifacts: vec![tree("clock")?],
        script: BUNDLED_SCRIPT.to_owned(),
    })
}
