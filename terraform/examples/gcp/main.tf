# Posthaste, a network for it, a sample function, and the endpoint that leads jobs of the kind `hello` to it.
# docs/how-to/deploy-gcp.md goes through it step by step.

module "posthaste" {
  source = "../../modules/gcp"

  project_id        = var.project_id
  region            = var.region
  image             = var.image
  network           = google_compute_network.this.id
  subnetwork        = google_compute_subnetwork.this.id
  function_services = ["projects/${var.project_id}/locations/${var.region}/services/greeter"]

  # Cloud SQL takes its address from the peering, and the function must be there before anybody may call it.
  depends_on = [google_service_networking_connection.this, google_cloudfunctions2_function.greeter]
}
