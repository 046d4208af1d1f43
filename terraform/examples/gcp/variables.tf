variable "project_id" {
  description = "The project, with the APIs of Cloud Run, Cloud Functions, Cloud Build, Cloud SQL, Secret Manager and Service Networking."
  type        = string
}

variable "region" {
  description = "The region."
  type        = string
}

variable "image" {
  description = "Posthaste's image, in Artifact Registry."
  type        = string
}
