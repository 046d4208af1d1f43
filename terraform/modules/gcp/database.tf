resource "google_sql_database_instance" "this" {
  #checkov:skip=CKV_GCP_6:ENCRYPTED_ONLY refuses what is in clear, and each client verifies the CA; certificates of clients would be one more key beside the password.
  #checkov:skip=CKV_GCP_79:The owner says which major version, with database.version.
  #checkov:skip=CKV_GCP_108:The only clients are services in the VPC, and looking up their names would delay each connection.
  #checkov:skip=CKV2_GCP_13:A line in the log for each statement of a claim or finalize would cost more than the statement.
  name                = var.name
  project             = var.project_id
  region              = var.region
  database_version    = "POSTGRES_${var.database.version}"
  deletion_protection = var.deletion_protection

  settings {
    tier                        = var.database.tier
    edition                     = "ENTERPRISE"
    availability_type           = "REGIONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.database.storage_gb
    disk_autoresize             = true
    deletion_protection_enabled = var.deletion_protection

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = var.database.backups
      }
    }

    insights_config {
      query_insights_enabled = true
    }

    # What was acknowledged is on disk, here and in the other zone.
    database_flags {
      name  = "synchronous_commit"
      value = "on"
    }
    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }
    database_flags {
      name  = "log_connections"
      value = "on"
    }
    database_flags {
      name  = "log_disconnections"
      value = "on"
    }
    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }
    database_flags {
      name  = "log_temp_files"
      value = "0"
    }
    database_flags {
      name  = "log_statement"
      value = "ddl"
    }
    database_flags {
      name  = "log_min_error_statement"
      value = "error"
    }
    database_flags {
      name  = "log_min_duration_statement"
      value = "-1"
    }
    database_flags {
      name  = "cloudsql.enable_pgaudit"
      value = "on"
    }
  }
}

resource "google_sql_database" "this" {
  name            = "posthaste"
  project         = var.project_id
  instance        = google_sql_database_instance.this.name
  deletion_policy = "ABANDON"
}
