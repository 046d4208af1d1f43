locals {
  services = {
    gateway    = { command = "gateway", port = local.gateway_port, ingress = "INGRESS_TRAFFIC_ALL", min = var.gateways.min, max = var.gateways.max, cpu = "1" }
    dispatcher = { command = "dispatcher", port = local.api_port, ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY", min = var.dispatchers, max = var.dispatchers, cpu = "1" }
    api        = { command = "serve", port = local.api_port, ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY", min = 1, max = 2, cpu = "1" }
  }

  # What is no secret, of each service.
  environment = {
    for room in keys(local.services) : room => merge(
      {
        POSTHASTE_DATABASE_URL = local.database_url["ph_${room}"]
        PGSSLROOTCERT          = trimspace(local.database_ca)
        POSTHASTE_LOG_FORMAT   = "json"
        POSTHASTE_GATEWAY_URL  = local.gateway_url
        POSTHASTE_API_LISTEN   = "0.0.0.0:${local.api_port}"
      },
      # Cloud Run kills 10 s after SIGTERM.
      room == "gateway" ? { POSTHASTE_GATEWAY_LISTEN = "0.0.0.0:${local.gateway_port}" } : { POSTHASTE_SHUTDOWN_GRACE_MS = "8000" },
    )
  }
}

resource "google_cloud_run_v2_service" "this" {
  for_each = local.services

  name                = "${var.name}-${each.key}"
  project             = var.project_id
  location            = var.region
  ingress             = each.value.ingress
  deletion_protection = var.deletion_protection

  template {
    service_account = google_service_account.room[each.key].email
    timeout         = "120s"

    scaling {
      min_instance_count = each.value.min
      max_instance_count = each.value.max
    }

    # To the database through the VPC; to functions as anybody.
    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = var.network
        subnetwork = var.subnetwork
      }
    }

    containers {
      name  = "posthaste"
      image = var.image
      args  = [each.value.command]

      ports {
        container_port = each.value.port
      }

      # Always allocated: a dispatcher works without requests, and a gateway answers before its log is written.
      resources {
        limits   = { cpu = each.value.cpu, memory = "1Gi" }
        cpu_idle = false
      }

      startup_probe {
        period_seconds    = 2
        failure_threshold = 30
        http_get {
          path = "/readyz"
          port = local.api_port
        }
      }

      liveness_probe {
        period_seconds    = 10
        failure_threshold = 3
        http_get {
          path = "/livez"
          port = local.api_port
        }
      }

      dynamic "env" {
        for_each = local.environment[each.key]
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.room_secrets[each.key]
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

  depends_on = [google_secret_manager_secret_iam_member.read]
}
