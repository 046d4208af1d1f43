//! Header values by reference: `{"env": "NAME"}` or `{"file": "PATH"}`.

use std::{
    ffi::OsString,
    fs,
    fs::File,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::environment;

/// The longest header value that a file may hold.
const MAX_FILE_BYTES: u64 = 8 * 1024;
/// As much as a bundle of certificates has.
const MAX_DOCUMENT_BYTES: u64 = 512 * 1024;

/// How variables begin that belong to Posthaste or to what it is built on; no file that one of them names is sent.
const OUR_VARIABLES: &[&str] = &["POSTHASTE_", "PG", "OTEL_", "AWS_"];
/// Files with secrets, wherever they are.
const OUR_FILES: &[&str] =
    &["secret.keys", "token.keys", ".pgpass", ".pg_service.conf", "application_default_credentials.json"];
/// Folders with credentials of platforms, wherever they are: AWS, Google, Kubernetes, Postgres.
const OUR_FOLDERS: &[&str] =
    &[".aws", ".config/gcloud", "kubernetes.io/serviceaccount", "eks.amazonaws.com/serviceaccount", ".postgresql"];

/// Where a secret is, on the machine of the dispatcher or gateway that uses it. It names the secret and holds none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file of at most 8 KiB; one trailing newline is not part of the value.
    File(PathBuf),
}

/// Why a reference has no value; names the reference, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretRefError {
    /// The variable is unset, empty or not text.
    #[error("environment variable {0} is not set for this process")]
    Unset(String),
    /// Whoever may write endpoints must not be able to send Posthaste's own secrets away.
    #[error(
        "{0} may not be used in a header: it belongs to Posthaste or the system; copy what the endpoint needs elsewhere"
    )]
    Forbidden(String),
    /// The file cannot be used.
    #[error("secret file {} cannot be used: {reason}", path.display())]
    File {
        /// The path as it was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl SecretRef {
    /// Reads the value; files are read afresh each time, so a rotated secret is picked up.
    ///
    /// Errors for variables that are unset or named `POSTHASTE_*`, `PG*`, `OTEL_*` or `AWS_*`, and for files that are
    /// missing, irregular, under `/proc`, `/sys` or `/dev`, credentials of Posthaste or its platform, longer than 8 KiB or
    /// not UTF-8.
    pub fn resolve(&self) -> Result<SecretString, SecretRefError> {
        self.resolve_within(MAX_FILE_BYTES)
    }

    /// The same for what is not sent as a header, such as certificates: a file may have 512 KiB.
    pub fn resolve_document(&self) -> Result<SecretString, SecretRefError> {
        self.resolve_within(MAX_DOCUMENT_BYTES)
    }

    fn resolve_within(&self, max: u64) -> Result<SecretString, SecretRefError> {
        match self {
            Self::Env(name) if OUR_VARIABLES.iter().any(|own| name.to_ascii_uppercase().starts_with(own)) => {
                Err(SecretRefError::Forbidden(format!("environment variable {name}")))
            }
            Self::Env(name) => environment::secret(name).ok_or_else(|| SecretRefError::Unset(name.clone())),
            Self::File(path) => read(path, max),
        }
    }
}

/// Whether this is a file with secrets of Posthaste, of the process or of its platform, by its name, its folder or a
/// variable that names it: whoever writes endpoints must not be able to send them away.
fn is_our_own(real: &Path, mut variables: impl Iterator<Item = (OsString, OsString)>) -> bool {
    let by_name = real.file_name().is_some_and(|name| OUR_FILES.iter().any(|own| name == *own));
    let parts: Vec<Component<'_>> = real.components().collect();
    let by_folder = OUR_FOLDERS.iter().any(|own| {
        let own: Vec<Component<'_>> = Path::new(own).components().collect();
        parts.windows(own.len()).any(|folder| folder == own)
    });
    let mut by_variable = || {
        variables.any(|(name, value)| {
            let name = name.to_string_lossy().to_ascii_uppercase();
            OUR_VARIABLES.iter().chain(&["GOOGLE_"]).any(|own| name.starts_with(own))
                && fs::canonicalize(value).is_ok_and(|file| file == real)
        })
    };
    by_name || by_folder || by_variable()
}

fn read(path: &Path, max: u64) -> Result<SecretString, SecretRefError> {
    let unusable = |reason: String| SecretRefError::File { path: path.to_owned(), reason };
    let real = fs::canonicalize(path).map_err(|error| unusable(error.to_string()))?;
    // /proc/self/environ would hand out every secret of this process.
    if ["/proc", "/sys", "/dev"].iter().any(|system| real.starts_with(system)) {
        return Err(SecretRefError::Forbidden(path.display().to_string()));
    }
    if is_our_own(&real, environment::variables_os()) {
        return Err(SecretRefError::Forbidden(path.display().to_string()));
    }
    let is_file = fs::metadata(&real).is_ok_and(|meta| meta.is_file());
    if !is_file {
        return Err(unusable("it is not a regular file".to_owned()));
    }
    let mut text = String::new();
    File::open(&real)
        .and_then(|file| file.take(max + 1).read_to_string(&mut text))
        .map_err(|error| unusable(error.to_string()))?;
    if text.len() as u64 > max {
        return Err(unusable(format!("it has more than {} KiB", max / 1024)));
    }
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(SecretString::from(value.strip_suffix('\r').unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn parse(json: &str) -> SecretRef {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_file_gives_its_text_without_the_trailing_newline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "Bearer abc \r\n").unwrap();
        let reference = parse(&format!("{{\"file\": {:?}}}", file.path()));
        assert_eq!(reference.resolve().unwrap().expose_secret(), "Bearer abc ");
    }

    #[test]
    fn a_variable_gives_its_value_and_a_missing_one_is_named() {
        assert!(parse(r#"{"env": "PATH"}"#).resolve().is_ok());
        let error = parse(r#"{"env": "NO_SUCH_NAME"}"#).resolve().unwrap_err();
        assert!(error.to_string().contains("NO_SUCH_NAME"));
    }

    #[test]
    fn too_long_missing_and_system_files_are_refused_without_their_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "s3cret".repeat(2000)).unwrap();
        let long = SecretRef::File(file.path().to_owned()).resolve().unwrap_err();
        assert!(long.to_string().contains("8 KiB") && !long.to_string().contains("s3cret"));
        for path in ["/no/such/file", "/proc/self/environ", "/dev/zero", "/tmp"] {
            let error = SecretRef::File(path.into()).resolve().unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }

    #[test]
    fn posthastes_own_variables_cannot_be_sent_away() {
        let error = parse(r#"{"env": "POSTHASTE_SECRET_KEYS"}"#).resolve().unwrap_err();
        assert!(matches!(error, SecretRefError::Forbidden(_)), "{error}");
    }

    #[test]
    fn files_with_credentials_of_the_process_and_its_platform_cannot_be_sent_away() {
        let home = tempfile::tempdir().unwrap();
        for name in [
            "secret.keys",
            "token.keys",
            ".pgpass",
            ".pg_service.conf",
            ".postgresql/postgresql.key",
            ".aws/credentials",
            ".aws/config",
            ".aws/sso/cache/token.json",
            ".config/gcloud/application_default_credentials.json",
            ".config/gcloud/access_tokens.db",
            "gcloud/application_default_credentials.json",
            "run/secrets/kubernetes.io/serviceaccount/..2026/token",
            "run/secrets/eks.amazonaws.com/serviceaccount/token",
        ] {
            let file = home.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "s3cret").unwrap();
            let link = home.path().join("link");
            std::os::unix::fs::symlink(&file, &link).unwrap();
            for path in [&file, &link] {
                let read = SecretRef::File(path.clone()).resolve();
                assert!(matches!(read, Err(SecretRefError::Forbidden(_))), "{}", path.display());
            }
            fs::remove_file(link).unwrap();
        }
        let own = home.path().join("config/gcloud-key");
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::write(&own, "the endpoint's").unwrap();
        assert!(SecretRef::File(own).resolve().is_ok());
    }

    #[test]
    fn a_file_that_a_variable_of_the_process_names_cannot_be_sent_away() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let real = fs::canonicalize(file.path()).unwrap();
        let named = |name: &str| is_our_own(&real, [(OsString::from(name), file.path().into())].into_iter());
        for name in [
            "POSTHASTE_SECRET_KEYS",
            "POSTHASTE_TOKEN_KEYS",
            "PGPASSFILE",
            "PGSERVICEFILE",
            "PGSSLKEY",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_CONFIG_FILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CREDENTIALS",
        ] {
            assert!(named(name), "{name}");
        }
        assert!(!named("PDF_KEY_FILE"));
    }
}
