//! Names of the objects that the operator makes. Users' data sources and collectors point at them.

/// Longest name of a Service, and longest label value.
const LONGEST: usize = 63;

/// `tempo-INSTANCE-COMPONENT`, or `tempo-INSTANCE` for an empty component, as a DNS label.
pub fn tempo(instance: &str, component: &str) -> String {
    if component.is_empty() {
        dns_safe(&format!("tempo-{instance}"))
    } else {
        dns_safe(&format!("tempo-{instance}-{component}"))
    }
}

/// `INSTANCE-collector`; a name that would be too long is cut from the instance.
pub fn collector(instance: &str) -> String {
    with_suffix(instance, "-collector")
}

/// `INSTANCE-collector-PART`, of what a Collector has several of.
pub fn collector_part(instance: &str, part: &str) -> String {
    with_suffix(instance, &format!("-collector-{part}"))
}

/// A DNS label that ends in `suffix`, however long the rest is.
pub fn with_suffix(instance: &str, suffix: &str) -> String {
    let kept: String = instance
        .chars()
        .take(LONGEST.saturating_sub(suffix.len()))
        .collect();
    dns_safe(&format!("{kept}{suffix}"))
}

/// The host name of a Service inside the cluster.
pub fn service_host(service: &str, namespace: &str) -> String {
    format!("{service}.{namespace}.svc")
}

/// What is no letter, digit or hyphen becomes a hyphen, or `a` at either end.
fn dns_safe(name: &str) -> String {
    let last = name.chars().count().saturating_sub(1);
    name.to_ascii_lowercase()
        .chars()
        .enumerate()
        .map(|(place, character)| match character {
            'a'..='z' | '0'..='9' => character,
            _ if place == 0 || place == last => 'a',
            _ => '-',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        assert_eq!(tempo("shop", ""), "tempo-shop");
        assert_eq!(tempo("shop", "query-frontend"), "tempo-shop-query-frontend");
        assert_eq!(tempo("my.Shop", "ingester"), "tempo-my-shop-ingester");
        assert_eq!(tempo("shop.", ""), "tempo-shopa");
    }

    #[test]
    fn a_long_collector_name_keeps_its_suffix() {
        let name = collector(&"x".repeat(63));
        assert_eq!(name.len(), 63);
        assert!(name.ends_with("-collector"));
        let part = collector_part(&"x".repeat(63), "headless");
        assert_eq!(part.len(), 63);
        assert!(part.ends_with("x-collector-headless"));
    }
}
