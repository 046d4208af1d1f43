use proptest::prelude::*;

use super::*;
use crate::action::Action;

const NOW: i64 = 1_795_248_000;

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(text).unwrap()
}

fn entry(kid: u16, digit: char) -> String {
    format!("{kid}:{}", digit.to_string().repeat(64))
}

fn one_key() -> KeyRing {
    ring(&entry(1, 'a'))
}

fn claims() -> Claims {
    Claims {
        kind: TokenKind::Callback,
        actions: Actions::of(&[Action::Complete, Action::Fail]),
        namespace: 1,
        job_id: JobId(42),
        run_lease: 3,
        wait: 0,
        lease_id: 7 << 32 | 9,
        expires_at_unix: NOW + 60,
        nonce: [5; 16],
    }
}

fn check(presented: &[u8]) -> Result<Claims, TokenFault> {
    verify(&one_key(), presented, TokenKind::Callback, NOW).map_err(InvalidToken::fault)
}

/// The token of these bytes, with the tag that fits them.
fn sealed(mut bytes: [u8; TOKEN_BYTES]) -> Token {
    let ring = one_key();
    let (_, key) = ring.minting(TokenKind::Callback);
    let tag = tag(key, &bytes);
    put::<TAG_AT, 32>(&mut bytes, *tag.as_bytes());
    encode(&bytes)
}

fn bytes_of(token: &Token) -> [u8; TOKEN_BYTES] {
    decode(token.expose().as_bytes()).unwrap()
}

#[test]
fn a_minted_token_says_again_what_it_was_minted_for() {
    let token = mint(&one_key(), &claims());
    assert_eq!(token.expose().len(), TOKEN_CHARS);
    assert_eq!(check(token.expose().as_bytes()), Ok(claims()));
}

#[test]
fn the_fields_lie_where_the_layout_says() {
    let token = mint(
        &ring(&entry(0x0102, 'a')),
        &Claims {
            actions: Actions::from_bits(0x0304),
            namespace: 0x0506_0708,
            job_id: JobId(0x1112_1314_1516_1718),
            run_lease: 0x2122_2324_2526_2728,
            wait: 0x3132_3334,
            lease_id: 0x4142_4344_4546_4748,
            expires_at_unix: 0x5152_5354_5556_5758,
            nonce: std::array::from_fn(|n| 0x60 + u8::try_from(n).unwrap()),
            ..claims()
        },
    );
    let expected = "01 0102 01 0304 05060708 1112131415161718 2122232425262728 31323334 4142434445464748 \
                    5152535455565758 606162636465666768696a6b6c6d6e6f";
    assert_eq!(hex::encode(&bytes_of(&token)[..TAG_AT]), expected.replace(' ', ""));
}

#[test]
fn every_changed_bit_is_noticed() {
    let genuine = bytes_of(&mint(&one_key(), &claims()));
    for bit in 0..TOKEN_BYTES * 8 {
        let mut changed = genuine;
        changed[bit / 8] ^= 1 << (bit % 8);
        let fault = check(encode(&changed).expose().as_bytes()).unwrap_err();
        let expected = match bit / 8 {
            0 => TokenFault::UnknownVersion,
            1 | 2 => TokenFault::UnknownKey,
            3 => TokenFault::WrongKind,
            _ => TokenFault::Forged,
        };
        assert_eq!(fault, expected, "bit {bit}");
    }
}

#[test]
fn a_token_has_one_spelling() {
    let token = mint(&one_key(), &claims());
    let text = token.expose();
    let (head, last) = text.split_at(TOKEN_CHARS - 1);
    assert!("AQgw".contains(last), "the last character carries two bits: {last}");
    // The same bytes for a decoder that ignores unused bits.
    let next = char::from(last.as_bytes()[0] + 1);
    let others = [
        format!("{head}{next}"),
        format!("{text}=="),
        format!("{text}="),
        format!("{text} "),
        format!(" {text}"),
        text.replacen("ph1.", "PH1.", 1),
        text.replacen("ph1.", "ph2.", 1),
        text["ph1.".len()..].to_owned(),
        text[..TOKEN_CHARS - 1].to_owned(),
        format!("{text}A"),
        text.replace('A', "+"),
        String::new(),
        "ph1.".to_owned(),
        "é".repeat(65),
    ];
    for other in others {
        assert_eq!(check(other.as_bytes()), Err(TokenFault::Malformed), "{other}");
    }
    assert_eq!(check(&[0xff; TOKEN_CHARS]), Err(TokenFault::Malformed));
}

#[test]
fn a_token_is_refused_from_the_second_of_its_expiry() {
    let token = mint(&one_key(), &claims());
    let at = |now| verify(&one_key(), token.expose().as_bytes(), TokenKind::Callback, now).map_err(InvalidToken::fault);
    assert_eq!(at(NOW + 59), Ok(claims()));
    assert_eq!(at(NOW + 60), Err(TokenFault::Expired));
    assert_eq!(at(i64::MAX), Err(TokenFault::Expired));
}

#[test]
fn a_token_of_one_kind_is_none_of_the_other() {
    let hook = mint(&one_key(), &Claims { kind: TokenKind::Hook, ..claims() });
    assert_eq!(check(hook.expose().as_bytes()), Err(TokenFault::WrongKind));
    // And renaming it does not help, because each kind has a key of its own.
    let mut renamed = bytes_of(&hook);
    renamed[3] = TokenKind::Callback.byte();
    assert_eq!(check(encode(&renamed).expose().as_bytes()), Err(TokenFault::Forged));
}

#[test]
fn the_first_key_mints_all_are_accepted_and_a_revoked_one_is_not() {
    let old = mint(&one_key(), &claims());
    let check = |text: &str| {
        verify(&ring(text), old.expose().as_bytes(), TokenKind::Callback, NOW).map_err(InvalidToken::fault)
    };
    assert_eq!(check(&format!("{},{}", entry(2, 'b'), entry(1, 'a'))), Ok(claims()));
    assert_eq!(check(&format!("{},1:revoked", entry(2, 'b'))), Err(TokenFault::RevokedKey));
    assert_eq!(check(&entry(2, 'b')), Err(TokenFault::UnknownKey));
    assert_eq!(check(&entry(1, 'b')), Err(TokenFault::Forged));
    let new = mint(&ring(&format!("{},{}", entry(2, 'b'), entry(1, 'a'))), &claims());
    assert_eq!(bytes_of(&new)[1..3], [0, 2]);
}

#[test]
fn a_tag_made_with_the_key_that_stands_in_for_none_proves_nothing() {
    let mut bytes = bytes_of(&mint(&one_key(), &claims()));
    put::<1, 2>(&mut bytes, 9_u16.to_be_bytes());
    let stand_in = tag(&NO_KEY, &bytes);
    put::<TAG_AT, 32>(&mut bytes, *stand_in.as_bytes());
    assert_eq!(check(encode(&bytes).expose().as_bytes()), Err(TokenFault::UnknownKey));
    let ring = ring(&format!("{},9:revoked", entry(1, 'a')));
    let error = verify(&ring, encode(&bytes).expose().as_bytes(), TokenKind::Callback, NOW).unwrap_err();
    assert_eq!(error.fault(), TokenFault::RevokedKey);
}

#[test]
fn a_genuine_tag_does_not_make_another_version_or_kind_known() {
    let genuine = bytes_of(&mint(&one_key(), &claims()));
    for (at, byte, fault) in [(0, 2, TokenFault::UnknownVersion), (3, 3, TokenFault::WrongKind)] {
        let mut bytes = genuine;
        bytes[at] = byte;
        assert_eq!(check(sealed(bytes).expose().as_bytes()), Err(fault));
    }
}

#[test]
fn every_refusal_reads_the_same() {
    let expired = mint(&one_key(), &Claims { expires_at_unix: 0, ..claims() });
    let messages: std::collections::BTreeSet<_> = [expired.expose(), "ph1.x", ""]
        .iter()
        .map(|text| verify(&one_key(), text.as_bytes(), TokenKind::Callback, NOW).unwrap_err().to_string())
        .collect();
    assert_eq!(messages.len(), 1);
}

#[test]
fn neither_token_nor_nonce_can_be_printed() {
    assert_eq!(format!("{:?}", mint(&one_key(), &claims())), "Token([REDACTED])");
    let shown = format!("{:?}", claims());
    assert!(
        shown.contains("[REDACTED]") && shown.contains(r#"{"complete", "fail"}"#) && !shown.contains("5, 5"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn no_input_panics_or_passes(presented in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(check(&presented).is_err());
    }

    #[test]
    fn no_bytes_of_the_right_length_pass(bytes in prop::collection::vec(any::<u8>(), TOKEN_BYTES)) {
        let mut bytes: [u8; TOKEN_BYTES] = bytes.try_into().unwrap();
        bytes[..4].copy_from_slice(&[VERSION, 0, 1, 1]);
        prop_assert_eq!(check(encode(&bytes).expose().as_bytes()), Err(TokenFault::Forged));
    }

    #[test]
    fn all_claims_come_back(
        bits in any::<u16>(), namespace in 0..=i32::MAX, job in 1..=i64::MAX, run_lease in 0..=i64::MAX,
        wait in 0..=i32::MAX, lease_id in 0..=i64::MAX, expires_at_unix in NOW + 1..=i64::MAX, nonce in any::<[u8; 16]>(),
    ) {
        let actions = Actions::from_bits(bits);
        let job_id = JobId(job);
        let claims = Claims { actions, namespace, job_id, run_lease, wait, lease_id, expires_at_unix, nonce, ..claims() };
        prop_assert_eq!(check(mint(&one_key(), &claims).expose().as_bytes()), Ok(claims));
    }
}
