//! A `PackageBroker` with an empty database: one pod with a volume, from manifests to `composer install`.

use serde_json::json;

use super::{
    installs::{Sources, new_version, project},
    manifests::{broker, token},
    support::Kube,
};

#[test]
fn a_pod_with_composer_installs_from_a_registry_that_was_applied() {
    let team = Kube::get().namespace("embedded");
    let sources = Sources::of_debian(&["php-psr-log", "php-monolog"]);
    let mut documents = vec![broker(), token("ci")];
    documents.extend(sources.repositories());
    team.apply(&documents).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    team.wait_ready(&sources.objects()).unwrap();

    let require = json!({"psr/log": "*", "monolog/monolog": "*"});
    let said = team
        .composer(
            "install",
            &project(&team, &require),
            "ci",
            "composer install --no-interaction --no-progress 2>&1\nphp -r 'require \"vendor/autoload.php\"; echo (new Monolog\\Logger(\"x\"))->getName() . \" works\\n\";'\n",
        )
        .unwrap();
    assert!(said.contains("Installing monolog/monolog"), "{said}");
    assert!(said.contains("x works"), "{said}");
    println!(
        "{}",
        team.kubectl(&["get", "package-broker", "--output=wide"])
            .unwrap()
    );
    new_version(&team, &sources);
}
