# function.zip is main.py and what it needs: docs/how-to/deploy-gcp.md tells how it is made.
resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_62:The bucket holds the source of a sample; who reads it is in the audit log.
  name                        = "${var.project_id}-greeter-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
}

resource "google_storage_bucket_object" "source" {
  name   = "greeter.zip"
  bucket = google_storage_bucket.source.name
  source = "${path.module}/function.zip"
}

resource "google_service_account" "greeter" {
  account_id   = "greeter"
  display_name = "The sample function"
}

# Filled by hand, so that it is not in the state.
resource "google_secret_manager_secret" "signing" {
  secret_id = "greeter-signing-secret"

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "signing" {
  secret_id = google_secret_manager_secret.signing.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.greeter.member
}

resource "google_cloudfunctions2_function" "greeter" {
  #checkov:skip=CKV_GCP_124:IAM decides who may invoke it, and that is the dispatchers alone. Internal ingress would send all they send through the VPC and a NAT.
  name     = "greeter"
  location = var.region

  build_config {
    runtime     = "python313"
    entry_point = "greeter"
    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  # Only those who may invoke it reach it: Posthaste's dispatchers, by the module.
  service_config {
    service_account_email            = google_service_account.greeter.email
    ingress_settings                 = "ALLOW_ALL"
    available_memory                 = "256M"
    timeout_seconds                  = 30
    max_instance_count               = 4
    max_instance_request_concurrency = 16
    available_cpu                    = "1"

    secret_environment_variables {
      key        = "POSTHASTE_SIGNING_SECRET"
      project_id = var.project_id
      secret     = google_secret_manager_secret.signing.secret_id
      version    = "latest"
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.signing]
}
