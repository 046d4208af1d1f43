# A one-off job that runs `posthaste endpoint put greeter`. The document has the signing secret in it, so it is a secret
# itself, filled by hand, and the job sees it as a file.

resource "google_secret_manager_secret" "endpoint" {
  secret_id = "posthaste-endpoint-greeter"

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "endpoint" {
  secret_id = google_secret_manager_secret.endpoint.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${module.posthaste.operator.service_account}"
}

resource "google_cloud_run_v2_job" "endpoint" {
  name     = "posthaste-endpoint-greeter"
  location = var.region

  template {
    template {
      service_account = module.posthaste.operator.service_account
      max_retries     = 0

      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = module.posthaste.operator.network
          subnetwork = module.posthaste.operator.subnetwork
        }
      }

      volumes {
        name = "spec"
        secret {
          secret = google_secret_manager_secret.endpoint.secret_id
          items {
            version = "latest"
            path    = "endpoint.json"
          }
        }
      }

      containers {
        image = module.posthaste.operator.image
        args  = ["endpoint", "put", "greeter", "--spec", "@/spec/endpoint.json"]

        volume_mounts {
          name       = "spec"
          mount_path = "/spec"
        }

        dynamic "env" {
          for_each = module.posthaste.operator.environment
          content {
            name  = env.key
            value = env.value
          }
        }

        dynamic "env" {
          for_each = module.posthaste.operator.secrets
          content {
            name = env.key
            value_source {
              secret_key_ref {
                secret  = env.value
                version = "latest"
              }
            }
          }
        }
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.endpoint]
}
