//! What comes before all else in this suite.

use super::at_rest::registries;

/// They rest while all others run, and stay for the suite `nothing_to_do`.
#[test]
fn registries_come_to_rest() {
    for team in registries() {
        let states = ["get", "package-broker", "--output=wide"];
        println!("{}", team.kubectl(&states).unwrap());
        team.check_kstatus().unwrap();
        team.stays();
    }
}
