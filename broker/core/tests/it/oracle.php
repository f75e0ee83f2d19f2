<?php
// Answers the questions of the Rust tests with Composer's own code. One JSON request a line:
// {"op": …, "items": […]}; one JSON answer a line: a list with one answer an item.
// A refusal of Composer's is answered with null.

declare(strict_types=1);

use Composer\MetadataMinifier\MetadataMinifier;
use Composer\Package\Loader\ArrayLoader;
use Composer\Semver\Comparator;
use Composer\Semver\Constraint\Constraint;
use Composer\Semver\VersionParser;

error_reporting(E_ALL);
set_error_handler(static function (int $level, string $message): bool {
    throw new ErrorException($message);
});

foreach (['Composer/Semver', 'Composer/MetadataMinifier', 'Composer'] as $library) {
    $autoload = "/usr/share/php/$library/autoload.php";
    if (!is_file($autoload)) {
        fwrite(STDERR, "$autoload is missing: install the Debian package composer\n");
        exit(1);
    }
    require $autoload;
}

function attempt(callable $answer): mixed
{
    try {
        return $answer();
    } catch (UnexpectedValueException) {
        return null;
    }
}

$parser = new VersionParser();
$loader = new ArrayLoader();

$operations = [
    'normalize' => static fn (string $version) => attempt(static fn () => $parser->normalize($version)),
    'branch' => static fn (string $name) => $parser->normalizeBranch($name),
    'stability' => static fn (string $version) => VersionParser::parseStability($version),
    'compare' => static fn (array $pair) => [
        Comparator::lessThan($pair[0], $pair[1]),
        Comparator::equalTo($pair[0], $pair[1]),
        Comparator::greaterThan($pair[0], $pair[1]),
    ],
    'alias' => static fn (array $pair) => $loader->getBranchAlias([
        'version' => $pair[0],
        'extra' => ['branch-alias' => [$pair[0] => $pair[1]]],
    ]),
    'satisfies' => static fn (array $item) => attempt(static function () use ($parser, $item) {
        $constraint = $parser->parseConstraints($item[0]);
        $matches = static fn (string $version) => $constraint->matches(new Constraint('==', $version));

        return array_map($matches, $item[1]);
    }),
    'minify' => static fn (array $versions) => MetadataMinifier::minify($versions),
    'expand' => static fn (array $versions) => MetadataMinifier::expand($versions),
];

ini_set('serialize_precision', '-1');
$flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION;
while (($line = fgets(STDIN)) !== false) {
    $request = json_decode($line, true, 512, JSON_THROW_ON_ERROR);
    echo json_encode(array_map($operations[$request['op']], $request['items']), $flags), "\n";
    flush();
}
