//! Path parameters.

use std::borrow::Cow;

use axum::extract::{Path, rejection::PathRejection};
use posthaste_protocol::{
    id::JobId,
    name::{MAX_NAME_BYTES, is_endpoint_name},
    problem::Code,
};

use crate::error::ApiError;

/// A path parameter as axum hands it over.
pub type RawPath = Result<Path<String>, PathRejection>;

/// A job's id; anything else is no job.
pub fn job_id(path: RawPath) -> Result<JobId, ApiError> {
    let text = path.map(|Path(text)| text).unwrap_or_default();
    text.parse().map_err(|_| ApiError::new(Code::JobNotFound, "a job id is a positive whole number"))
}

/// An endpoint's name as jobs can name it: 422 for others.
pub fn endpoint_name(path: RawPath) -> Result<String, ApiError> {
    let name = path.map(|Path(text)| text).unwrap_or_default();
    if !is_endpoint_name(&name) {
        let message: Cow<str> =
            format!("must be 1 to {MAX_NAME_BYTES} letters, digits and . _ : -, the first a letter or digit").into();
        return Err(ApiError::field("name", "invalid_name", message));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_checked_before_the_database_sees_them() {
        assert_eq!(job_id(Ok(Path("42".to_owned()))).unwrap(), JobId(42));
        for bad in ["0", "x", "9223372036854775808", "1\0"] {
            assert_eq!(job_id(Ok(Path(bad.to_owned()))).unwrap_err().problem().status, 404);
        }
        assert!(endpoint_name(Ok(Path("pdf.v2:eu-1_a".to_owned()))).is_ok());
        for bad in ["", "a b", "é", "a/b", "a\0", &"a".repeat(201)] {
            assert_eq!(endpoint_name(Ok(Path(bad.to_owned()))).unwrap_err().problem().status, 422);
        }
    }
}
