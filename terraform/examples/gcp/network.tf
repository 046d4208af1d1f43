resource "google_compute_network" "this" {
  #checkov:skip=CKV2_GCP_18:Nothing in the network listens but Cloud SQL, which firewall rules of the network do not reach.
  name                    = "posthaste"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  #checkov:skip=CKV_GCP_76:The network has no IPv6.
  name                     = "posthaste"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = "10.10.0.0/24"
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
  }
}

# Private services access: the range that Cloud SQL takes its address from.
resource "google_compute_global_address" "services" {
  name          = "posthaste-services"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "this" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
}
