# Posthaste, a network for it, a sample function, and the endpoint that leads jobs of the kind `hello` to it.
# docs/how-to/deploy-gcp.md goes through it step by step.

module "posthaste" {
  source = "../../modules/gcp"

  project_id = var.project_id
  region     = var.region
  image      = var.image
  # Cloud SQL takes its address from the peering, so it must be there first.
  network           = google_service_networking_connection.this.network
  subnetwork        = google_compute_subnetwork.this.id
  function_services = ["projects/${var.project_id}/locations/${var.region}/services/${google_cloudfunctions2_function.greeter.name}"]
}
