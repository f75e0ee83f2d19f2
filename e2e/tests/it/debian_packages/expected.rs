//! What the project asks for and what must load after it was installed.

/// What the project requires, with a class, interface or trait of each that must load.
pub(super) const REQUIRED: &[(&str, &str)] = &[
    (
        "composer/metadata-minifier",
        "Composer\\MetadataMinifier\\MetadataMinifier",
    ),
    (
        "doctrine/inflector",
        "Doctrine\\Inflector\\InflectorFactory",
    ),
    (
        "doctrine/instantiator",
        "Doctrine\\Instantiator\\Instantiator",
    ),
    (
        "fig/http-message-util",
        "Fig\\Http\\Message\\StatusCodeInterface",
    ),
    ("guzzlehttp/promises", "GuzzleHttp\\Promise\\Promise"),
    (
        "illuminate/macroable",
        "Illuminate\\Support\\Traits\\Macroable",
    ),
    ("monolog/monolog", "Monolog\\Logger"),
    ("nikic/fast-route", "FastRoute\\RouteCollector"),
    ("nikic/php-parser", "PhpParser\\ParserFactory"),
    (
        "phar-io/version",
        "PharIo\\Version\\VersionConstraintParser",
    ),
    (
        "phpunit/php-text-template",
        "SebastianBergmann\\Template\\Template",
    ),
    ("phpunit/php-timer", "SebastianBergmann\\Timer\\Timer"),
    ("pimple/pimple", "Pimple\\Container"),
    ("psr/log", "Psr\\Log\\NullLogger"),
    ("sebastian/diff", "SebastianBergmann\\Diff\\Differ"),
    ("sebastian/version", "SebastianBergmann\\Version"),
    ("symfony/asset", "Symfony\\Component\\Asset\\Package"),
    ("symfony/config", "Symfony\\Component\\Config\\FileLocator"),
    (
        "symfony/console",
        "Symfony\\Component\\Console\\Application",
    ),
    (
        "symfony/css-selector",
        "Symfony\\Component\\CssSelector\\CssSelectorConverter",
    ),
    (
        "symfony/dependency-injection",
        "Symfony\\Component\\DependencyInjection\\ContainerBuilder",
    ),
    (
        "symfony/dom-crawler",
        "Symfony\\Component\\DomCrawler\\Crawler",
    ),
    ("symfony/dotenv", "Symfony\\Component\\Dotenv\\Dotenv"),
    (
        "symfony/http-client",
        "Symfony\\Component\\HttpClient\\HttpClient",
    ),
    (
        "symfony/http-kernel",
        "Symfony\\Component\\HttpKernel\\HttpKernel",
    ),
    ("symfony/lock", "Symfony\\Component\\Lock\\LockFactory"),
    (
        "symfony/options-resolver",
        "Symfony\\Component\\OptionsResolver\\OptionsResolver",
    ),
    ("symfony/process", "Symfony\\Component\\Process\\Process"),
    (
        "symfony/property-access",
        "Symfony\\Component\\PropertyAccess\\PropertyAccess",
    ),
    ("symfony/routing", "Symfony\\Component\\Routing\\Router"),
    (
        "symfony/serializer",
        "Symfony\\Component\\Serializer\\Serializer",
    ),
    (
        "symfony/stopwatch",
        "Symfony\\Component\\Stopwatch\\Stopwatch",
    ),
    (
        "symfony/translation",
        "Symfony\\Component\\Translation\\Translator",
    ),
    (
        "symfony/workflow",
        "Symfony\\Component\\Workflow\\Definition",
    ),
    ("symfony/yaml", "Symfony\\Component\\Yaml\\Yaml"),
    ("webmozart/assert", "Webmozart\\Assert\\Assert"),
];

/// Classes of packages that come along as dependencies.
pub(super) const DEPENDENCIES: &[(&str, &str)] = &[
    ("psr/container", "Psr\\Container\\ContainerInterface"),
    (
        "psr/event-dispatcher",
        "Psr\\EventDispatcher\\EventDispatcherInterface",
    ),
    (
        "symfony/error-handler",
        "Symfony\\Component\\ErrorHandler\\ErrorHandler",
    ),
    (
        "symfony/event-dispatcher",
        "Symfony\\Component\\EventDispatcher\\EventDispatcher",
    ),
    (
        "symfony/filesystem",
        "Symfony\\Component\\Filesystem\\Filesystem",
    ),
    (
        "symfony/http-client-contracts",
        "Symfony\\Contracts\\HttpClient\\HttpClientInterface",
    ),
    (
        "symfony/http-foundation",
        "Symfony\\Component\\HttpFoundation\\Request",
    ),
    (
        "symfony/property-info",
        "Symfony\\Component\\PropertyInfo\\Type",
    ),
    (
        "symfony/service-contracts",
        "Symfony\\Contracts\\Service\\ServiceSubscriberInterface",
    ),
    (
        "symfony/string",
        "Symfony\\Component\\String\\UnicodeString",
    ),
    (
        "symfony/var-dumper",
        "Symfony\\Component\\VarDumper\\VarDumper",
    ),
];

/// PHP 8.2 with mbstring and intl needs none of these, and Debian's Symfony carries none: a
/// project says so by replacing them.
pub(super) const REPLACED: &[&str] = &[
    "symfony/polyfill-ctype",
    "symfony/polyfill-intl-grapheme",
    "symfony/polyfill-intl-normalizer",
    "symfony/polyfill-mbstring",
    "symfony/polyfill-php73",
    "symfony/polyfill-php80",
    "symfony/polyfill-php81",
];
