use proptest::prelude::*;

use super::*;
use crate::domain::keyring::KeyRing;

const ROW: Row<'static> = Row::new("repository-credentials", "team");

/// Key, nonce, associated data, text, encrypted text and tag.
type Vector = [&'static str; 6];

/// Test cases 13 to 16 of `McGrew` and Viega, "The Galois/Counter Mode of Operation (GCM)", those of AES-256 with a
/// nonce of 12 bytes.
const VECTORS: [Vector; 4] = [
    [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "000000000000000000000000",
        "",
        "",
        "",
        "530f8afbc74536b9a963b4f1c4cb738b",
    ],
    [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "000000000000000000000000",
        "",
        "00000000000000000000000000000000",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ],
    [
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        "cafebabefacedbaddecaf888",
        "",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525\
         b16aedf5aa0de657ba637b391aafd255",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838\
         c5f61e6393ba7a0abcc9f662898015ad",
        "b094dac5d93471bdec1a502270e3cc6c",
    ],
    [
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525\
         b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838\
         c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ],
];

/// Bytes 0 to 31, as base64.
const RING: &str = "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

#[test]
fn the_cipher_gives_what_was_published() {
    for [key, nonce, data, text, encrypted, tag] in VECTORS {
        let cipher = Aes256Gcm::new(&array::<32>(key).into());
        let mut body = hex::decode(text).unwrap();
        let nonce = Nonce::from(array::<12>(nonce));
        let given = cipher
            .encrypt_inout_detached(
                &nonce,
                &hex::decode(data).unwrap(),
                body.as_mut_slice().into(),
            )
            .unwrap();
        assert_eq!(
            (hex::encode(&body), hex::encode(given)),
            (encrypted.to_owned(), tag.to_owned())
        );
    }
}

/// Made by another program. If this does not open any more, neither does what users have stored.
#[test]
fn a_value_of_old_opens() {
    let bytes =
        "01a0a1a2a3a4a5a6a7a8a9aaab87380f4826b967cb420ae1f36816a4b4a1481d212b2d2678344bc820bd2752";
    let sealed = Sealed {
        key: KeyId::new("k1"),
        bytes: hex::decode(bytes).unwrap(),
    };
    let ring = KeyRing::parse(RING).unwrap();
    assert_eq!(
        ring.open(ROW, &sealed).unwrap().as_slice(),
        b"a secret of old"
    );
    let mut key = [0; KEY_LENGTH];
    (0..)
        .zip(&mut key)
        .for_each(|(number, byte)| *byte = number);
    let again = encrypt(
        &key,
        array("a0a1a2a3a4a5a6a7a8a9aaab"),
        ROW,
        b"a secret of old",
    )
    .unwrap();
    assert_eq!(hex::encode(again), bytes);
}

#[test]
fn the_same_text_is_never_sealed_alike() {
    let ring = KeyRing::generate().unwrap();
    let sealed: std::collections::HashSet<Vec<u8>> = (0..1_000)
        .map(|_| ring.seal(ROW, b"same").unwrap().bytes)
        .collect();
    assert_eq!(sealed.len(), 1_000);
}

#[test]
fn what_does_not_open_says_what_to_do() {
    let (ring, other) = (KeyRing::generate().unwrap(), KeyRing::parse(RING).unwrap());
    let sealed = ring.seal(ROW, b"hush").unwrap();
    let missing = other.open(ROW, &sealed).unwrap_err();
    assert_eq!(
        missing,
        OpenError::MissingKey {
            key: ring.primary().clone()
        }
    );
    assert!(
        missing.to_string().contains(ring.primary().as_str())
            && missing.to_string().contains("put that key back"),
        "{missing}"
    );

    // Another key under the same id.
    let text = RING.replace("k1 AA", &format!("{} BB", ring.primary()));
    let wrong = KeyRing::parse(&text).unwrap().open(ROW, &sealed);
    let refused = wrong.unwrap_err();
    assert_eq!(
        refused,
        OpenError::Refused {
            key: ring.primary().clone()
        }
    );
    assert!(refused.to_string().contains("another key"), "{refused}");

    let mut form = sealed.clone();
    form.bytes[0] = 2;
    assert_eq!(ring.open(ROW, &form).unwrap_err(), OpenError::Form);
    for length in 0..1 + NONCE_LENGTH + TAG_LENGTH {
        form.bytes = sealed.bytes[..length].to_vec();
        assert_eq!(ring.open(ROW, &form).unwrap_err(), OpenError::Form);
    }
    assert!(!format!("{sealed:?} {refused:?}").contains("hush"));
}

#[test]
fn what_is_sealed_is_bounded() {
    let ring = KeyRing::generate().unwrap();
    let most = vec![7; MAX_TEXT];
    let sealed = ring.seal(ROW, &most).unwrap();
    assert_eq!(*ring.open(ROW, &sealed).unwrap(), most);
    assert_eq!(
        ring.seal(ROW, &vec![7; MAX_TEXT + 1]),
        Err(SealError::TooLarge(MAX_TEXT + 1))
    );
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_nothing_of_it_may_change(
        text in proptest::collection::vec(any::<u8>(), 0..200),
        name in "\\PC{0,20}",
        bit in any::<proptest::sample::Index>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let ring = KeyRing::generate().unwrap();
        let row = Row::new("kind", &name);
        let mut sealed = ring.seal(row, &text).unwrap();
        let opened = ring.open(row, &sealed).unwrap();
        prop_assert_eq!(&*opened, &text);
        let whole = sealed.bytes.clone();
        sealed.bytes.truncate(cut.index(whole.len()));
        prop_assert!(ring.open(row, &sealed).is_err());
        let bit = bit.index(whole.len() * 8);
        sealed.bytes = whole;
        sealed.bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(ring.open(row, &sealed).is_err());
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_row_only(
        text in proptest::collection::vec(any::<u8>(), 0..50),
        names in proptest::array::uniform2("[ab]{0,3}"),
        kinds in proptest::array::uniform2(0..3_usize),
    ) {
        const KINDS: [&str; 3] = ["", "a", "ab"];
        let ring = KeyRing::generate().unwrap();
        let [one, other] = [0, 1].map(|at| Row::new(KINDS[kinds[at]], &names[at]));
        let sealed = ring.seal(one, &text).unwrap();
        prop_assert_eq!(ring.open(other, &sealed).is_ok(), one == other);
    }
}
