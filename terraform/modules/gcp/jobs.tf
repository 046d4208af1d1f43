# Run in this order before the first start and before each deploy; both are safe to repeat.

locals {
  jobs = {
    migrate = {
      image   = var.image
      command = null
      args    = ["migrate"]
      secrets = { for name, secret in local.room_secrets["migrate"] : name => secret if name == "PGPASSWORD" }
      environment = {
        POSTHASTE_DATABASE_URL = local.database_url["postgres"]
        PGSSLROOTCERT          = trimspace(local.database_ca)
        POSTHASTE_LOG_FORMAT   = "json"
      }
    }
    roles = {
      image   = var.psql_image
      command = ["sh", "-c"]
      args    = [file("${path.module}/../roles.sh")]
      secrets = local.room_secrets["migrate"]
      environment = {
        PGHOST      = google_sql_database_instance.this.private_ip_address
        PGUSER      = "postgres"
        PGDATABASE  = google_sql_database.this.name
        PGSSLMODE   = "verify-ca"
        DATABASE_CA = trimspace(local.database_ca)
      }
    }
  }
}

resource "google_cloud_run_v2_job" "this" {
  for_each = local.jobs

  name                = "${var.name}-${each.key}"
  project             = var.project_id
  location            = var.region
  deletion_protection = var.deletion_protection

  template {
    template {
      service_account = google_service_account.room["migrate"].email
      max_retries     = 0
      timeout         = "1800s"

      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = var.network
          subnetwork = var.subnetwork
        }
      }

      containers {
        name    = each.key
        image   = each.value.image
        command = each.value.command
        args    = each.value.args

        dynamic "env" {
          for_each = each.value.environment
          content {
            name  = env.key
            value = env.value
          }
        }

        dynamic "env" {
          for_each = each.value.secrets
          content {
            name = env.key
            value_source {
              secret_key_ref {
                secret  = google_secret_manager_secret.this[env.value].secret_id
                version = "latest"
              }
            }
          }
        }
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.read]
}
