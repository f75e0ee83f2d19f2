//! The volume that holds state and archives.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;
use package_broker_crds::{DeletionPolicy, PackageBroker};

use crate::children::{child_of, labels, orphan};

/// The claim. It goes with its broker only if the spec says so.
pub(super) fn build(broker: &PackageBroker) -> PersistentVolumeClaim {
    let wanted = &broker.spec.volume;
    let make = match broker.spec.deletion_policy {
        DeletionPolicy::Retain => orphan,
        DeletionPolicy::Delete => child_of,
    };
    let size = Quantity(wanted.size.as_str().to_owned());
    PersistentVolumeClaim {
        metadata: make(
            broker,
            &super::named(broker, "data"),
            labels(&broker.name_any()),
        ),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: wanted
                .storage_class_name
                .as_ref()
                .map(|name| name.as_str().to_owned()),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), size)])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
