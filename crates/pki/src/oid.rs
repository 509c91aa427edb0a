//! The object identifiers this crate reads and writes, by the names of RFC 5280, 5480, 6962, 8017 and 8410.

use der::oid::ObjectIdentifier;

macro_rules! oids {
    ($($name:ident = $text:literal;)*) => {
        $(pub(crate) const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($text);)*
    };
}

oids! {
    RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
    RSA_SHA256 = "1.2.840.113549.1.1.11";
    RSA_SHA384 = "1.2.840.113549.1.1.12";
    RSA_SHA512 = "1.2.840.113549.1.1.13";
    RSA_PSS = "1.2.840.113549.1.1.10";
    SHA256 = "2.16.840.1.101.3.4.2.1";
    SHA384 = "2.16.840.1.101.3.4.2.2";
    SHA512 = "2.16.840.1.101.3.4.2.3";

    EC_PUBLIC_KEY = "1.2.840.10045.2.1";
    CURVE_P256 = "1.2.840.10045.3.1.7";
    CURVE_P384 = "1.3.132.0.34";
    CURVE_P521 = "1.3.132.0.35";
    ECDSA_SHA256 = "1.2.840.10045.4.3.2";
    ECDSA_SHA384 = "1.2.840.10045.4.3.3";
    ECDSA_SHA512 = "1.2.840.10045.4.3.4";
    ED25519 = "1.3.101.112";

    COMMON_NAME = "2.5.4.3";
    SERIAL_NUMBER = "2.5.4.5";
    COUNTRY = "2.5.4.6";
    LOCALITY = "2.5.4.7";
    STATE = "2.5.4.8";
    STREET = "2.5.4.9";
    ORGANIZATION = "2.5.4.10";
    ORGANIZATIONAL_UNIT = "2.5.4.11";
    POSTAL_CODE = "2.5.4.17";

    SUBJECT_KEY_IDENTIFIER = "2.5.29.14";
    KEY_USAGE = "2.5.29.15";
    SUBJECT_ALT_NAME = "2.5.29.17";
    ISSUER_ALT_NAME = "2.5.29.18";
    BASIC_CONSTRAINTS = "2.5.29.19";
    CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    AUTHORITY_KEY_IDENTIFIER = "2.5.29.35";
    EXT_KEY_USAGE = "2.5.29.37";
    FRESHEST_CRL = "2.5.29.46";
    AUTHORITY_INFORMATION_ACCESS = "1.3.6.1.5.5.7.1.1";
    SIGNED_TIMESTAMPS = "1.3.6.1.4.1.11129.2.4.2";
    SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
    EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
}
