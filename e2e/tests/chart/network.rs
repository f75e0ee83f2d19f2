//! The `NetworkPolicy` of the operator.

use serde_json::{Value, json};

use super::support::{objects, one};

#[test]
fn connections_out_are_kept_to_what_is_named() {
    let policy = |values: &[&str]| one(&objects(values), "NetworkPolicy")["spec"].clone();
    assert_eq!(policy(&[])["policyTypes"], json!(["Ingress"]));
    assert_eq!(policy(&[])["egress"], Value::Null);
    let open = policy(&["networkPolicy.egress.enabled=true"]);
    assert_eq!(open["policyTypes"], json!(["Ingress", "Egress"]));
    let tcp = |port: u16| json!({"port": port, "protocol": "TCP"});
    assert_eq!(open["egress"][0], json!({"ports": [tcp(443), tcp(6443)]}));
    assert_eq!(
        open["egress"][1],
        json!({"ports": [{"port": 53, "protocol": "UDP"}, tcp(53)]})
    );
    assert_eq!(open["egress"][2], json!({"ports": [tcp(5432)]}));
    // A port for all to see, but of brokers alone.
    assert_eq!(
        open["egress"][3]["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
        "package-broker"
    );
    let egress = "networkPolicy.egress";
    let values = [
        "watch.namespaces={a,b}",
        &format!("{egress}.enabled=true"),
        &format!("{egress}.apiServer.cidrs={{10.0.0.1/32,fd00::1/128}}"),
        &format!("{egress}.apiServer.ports={{6443}}"),
        &format!("{egress}.dns.to[0].podSelector.matchLabels.k8s-app=kube-dns"),
        &format!("{egress}.databases.to[0].ipBlock.cidr=10.1.0.0/16"),
        &format!("{egress}.databases.ports={{5432,6432}}"),
        &format!("{egress}.extra[0].ports[0].port=9000"),
    ];
    let closed = policy(&values);
    let block = |cidr: &str| json!({"ipBlock": {"cidr": cidr}});
    assert_eq!(
        closed["egress"][0],
        json!({"ports": [tcp(6443)], "to": [block("10.0.0.1/32"), block("fd00::1/128")]})
    );
    assert_eq!(
        closed["egress"][1]["to"],
        json!([{"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}])
    );
    assert_eq!(
        closed["egress"][2],
        json!({"ports": [tcp(5432), tcp(6432)], "to": [block("10.1.0.0/16")]})
    );
    let namespaces = &closed["egress"][3]["to"][0]["namespaceSelector"]["matchExpressions"][0];
    assert_eq!(namespaces["values"], json!(["a", "b"]));
    assert_eq!(closed["egress"][4], json!({"ports": [{"port": 9000}]}));
    let from =
        policy(&["networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring"]);
    assert_eq!(
        from["ingress"][0]["from"],
        json!([{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}])
    );
}
