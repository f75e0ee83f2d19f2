//! The routes of Composer's protocol (section A of the protocol; rule 1 of the design).

mod dist;
mod names;
mod notify;
mod package;
mod view;

pub(super) use self::{
    dist::dist,
    names::{list, search},
    notify::notify_batch,
    package::package,
    view::view,
};
