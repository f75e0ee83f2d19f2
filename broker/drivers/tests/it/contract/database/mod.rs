//! The promises of `ports::database`.

mod alike;
mod archives;
mod audit;
mod claims;
mod declared;
mod packages;
mod postgres;
mod postgres_tls;
mod published;
mod records;
mod requests;
mod restart;
mod revisions;
mod sqlite;
mod stamps;
mod tokens;

use bytes::Bytes;
use package_broker_core::{
    domain::{
        metadata::{Channel, PackageVersions},
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::database::{
        Applied, Changes, Database, DocumentBytes, Encoding, Publication, Published, PutPackage,
    },
};

fn package(name: &str) -> PackageName {
    PackageName::parse(name).unwrap()
}

fn repository(name: &str) -> RepositoryName {
    RepositoryName::new(name)
}

/// Versions of a package, as a sync would have checked them.
fn versions_of(name: &str, versions: &[&str]) -> PackageVersions {
    let fields = versions
        .iter()
        .map(|version| serde_json::from_value(serde_json::json!({ "version": version })));
    PackageVersions::check(
        &package(name),
        fields.map(Result::unwrap).collect(),
        Vec::new(),
    )
}

fn put(in_repository: &str, name: &str, versions: &[&str]) -> PutPackage {
    let content = versions_of(name, versions);
    PutPackage {
        repository: repository(in_repository),
        package: package(name),
        validator: Some(format!("{name} {versions:?}")),
        versions: u32::try_from(content.versions.len()).unwrap(),
        skipped: 0,
        content: content.encode().into(),
    }
}

/// A document that says what it is, in place of compressed JSON.
fn document(text: &str) -> DocumentBytes {
    let mut digest = [0; 32];
    digest[..text.len().min(32)].copy_from_slice(&text.as_bytes()[..text.len().min(32)]);
    DocumentBytes {
        digest,
        gzip: Bytes::from(format!("gzip {text}")),
        zstd: Bytes::from(format!("zstd {text}")),
    }
}

fn publication(name: &str, owner: &str, stable: &str, dev: &str) -> Publication {
    Publication {
        package: package(name),
        owner: repository(owner),
        stable: document(stable),
        dev: document(dev),
        description: format!("{name} of {owner}"),
        kind: "library".to_owned(),
        abandoned: String::new(),
    }
}

/// Applies changes as one who has seen everything.
async fn apply(database: &dyn Database, mut changes: Changes, now: i64) -> Applied {
    changes.seen = database.revisions().await.unwrap().packages;
    database.apply(&changes, Stamp(now)).await.unwrap()
}

/// Publishes one name owned by `team`.
async fn publish(
    database: &dyn Database,
    name: &str,
    stable: &str,
    dev: &str,
    now: i64,
) -> Published {
    let changes = Changes {
        publish: vec![publication(name, "team", stable, dev)],
        ..Changes::default()
    };
    apply(database, changes, now).await.published.remove(0)
}

async fn withdraw(database: &dyn Database, name: &str, now: i64) -> Stamp {
    apply(
        database,
        Changes {
            withdraw: vec![package(name)],
            ..Changes::default()
        },
        now,
    )
    .await
    .absent
}

/// The text of a published document, and its stamp.
async fn served(database: &dyn Database, name: &str, channel: Channel) -> Option<(String, Stamp)> {
    let text = |bytes: &Bytes, encoding: &str| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.strip_prefix(encoding)
            .expect("the other encoding was given")
            .to_owned()
    };
    let gzip = database
        .document(&package(name), channel, Encoding::Gzip)
        .await
        .unwrap();
    let zstd = database
        .document(&package(name), channel, Encoding::Zstd)
        .await
        .unwrap();
    let (gzip, zstd) = (gzip?, zstd?);
    let found = (text(&gzip.bytes, "gzip "), gzip.stamp);
    assert_eq!((text(&zstd.bytes, "zstd "), zstd.stamp), found);
    Some(found)
}

/// Holds a driver to every promise of the port, given an expression that opens a new, empty database.
macro_rules! every_promise {
    ($open:expr) => {
        promises!(
            $open,
            archives::an_address_may_have_an_archive_in_each_repository,
            archives::an_address_of_odd_characters_is_just_not_there,
            archives::an_archive_never_changes,
            archives::archives_outlive_their_package_and_its_repository,
            archives::every_field_of_an_archive_comes_back,
            archives::it_is_known_whether_a_repository_has_archives,
            archives::of_archives_added_at_once_one_stays,
            audit::a_batch_is_added_once,
            audit::a_filter_gives_what_meets_all_of_it,
            audit::every_field_of_an_audit_record_comes_back,
            audit::records_come_in_the_order_of_time,
            audit::the_oldest_records_expire_first,
            audit::writers_at_once_lose_nothing,
            claims::a_claim_ends_with_its_lease,
            requests::requests_stay_until_they_are_met,
            claims::one_at_a_time_has_a_claim,
            claims::what_is_written_under_a_lost_claim_is_refused,
            declared::a_generation_never_comes_back,
            declared::an_installation_is_declared_once,
            declared::credentials_are_resealed_if_they_are_those_that_were_read,
            declared::every_field_of_a_declaration_comes_back,
            declared::of_many_who_declare_none_overwrites_what_it_has_not_seen,
            declared::one_comes_and_goes_beside_the_others,
            declared::the_declared_are_exactly_those_given,
            declared::what_is_declared_already_is_not_written,
            declared::what_was_decided_on_another_row_is_refused,
            packages::a_new_database_is_empty,
            packages::a_package_is_replaced_whole,
            packages::changes_of_nothing_do_nothing,
            packages::large_and_odd_contents_come_back,
            packages::many_packages_change_at_once,
            packages::removing_takes_the_package_of_that_repository_only,
            packages::repositories_hold_packages_apart,
            published::a_name_is_served_as_published_last,
            published::a_withdrawn_name_is_gone,
            published::changes_are_seen_whole_or_not_at_all,
            published::documents_stay_until_they_are_withdrawn,
            published::odd_descriptions_do_no_harm,
            published::stamps_belong_to_the_bytes,
            published::what_is_published_is_in_the_index,
            records::a_record_is_replaced_whole,
            records::a_repository_is_forgotten_alone,
            records::every_field_of_a_record_comes_back,
            records::settings_are_kept_by_key,
            revisions::a_change_of_what_others_changed_is_refused,
            revisions::a_delta_is_what_changed_since,
            revisions::each_part_has_its_own,
            revisions::of_many_writers_none_overwrites_what_it_has_not_seen,
            revisions::what_was_decided_under_another_installation_is_refused,
            stamps::a_changed_document_gets_a_later_stamp,
            stamps::a_document_with_the_same_digest_keeps_its_stamp,
            stamps::a_name_that_comes_back_is_later_than_its_absence,
            stamps::absent_moves_when_a_name_is_lost_and_only_then,
            stamps::any_sequence_of_changes_keeps_the_order_of_stamps,
            stamps::root_files_keep_their_stamp_while_they_are_the_same,
            stamps::unique_stamps_stay_unique_when_many_ask_at_once,
            tokens::a_floor_moves_with_hash_and_grant_only,
            tokens::every_field_of_a_token_comes_back,
            tokens::floors_come_in_the_order_given,
            tokens::the_tokens_are_exactly_those_given,
        );
    };
}
use every_promise;
