variable "name" {
  description = "The name of this Posthaste: a prefix of everything that is made."
  type        = string
  default     = "posthaste"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,17}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 19 of a-z, 0-9 and -, the first a letter and the last none of -."
  }
}

variable "project_id" {
  description = "The project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project, not its number or its title."
  }
}

variable "region" {
  description = "The region, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region, such as europe-west1, not a zone."
  }
}

variable "image" {
  description = "The image that the Containerfile builds, in Artifact Registry, with a tag or digest that does not move."
  type        = string

  validation {
    condition     = can(regex("[:@][^/]+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image must end with a tag other than latest, or with a digest."
  }
}

variable "psql_image" {
  description = "An image with sh and psql, for the job that makes the database's login roles. Docker Hub limits what one address pulls: name a copy in your registry."
  type        = string
  default     = "postgres:17-alpine"
}

variable "network" {
  description = "The id of the VPC network, with private services access: Cloud SQL gets its only address there."
  type        = string

  validation {
    condition     = can(regex("^projects/[^/]+/global/networks/[^/]+$", var.network))
    error_message = "network must be an id: projects/PROJECT/global/networks/NAME."
  }
}

variable "subnetwork" {
  description = "The id of the subnetwork that services and jobs send from, of /26 or more, with Private Google Access."
  type        = string

  validation {
    condition     = can(regex("^projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$", var.subnetwork))
    error_message = "subnetwork must be an id: projects/PROJECT/regions/REGION/subnetworks/NAME."
  }
}

variable "gateway_host" {
  description = "A host name of yours that leads to the gateway's service. Without it callbacks go to the name that Cloud Run gives."
  type        = string
  default     = null

  validation {
    condition     = var.gateway_host == null || can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.gateway_host))
    error_message = "gateway_host must be a host name in lower case, without scheme or path."
  }
}

variable "function_services" {
  description = "The Cloud Run services (functions of the second generation are such) that may be invoked, by their whole names. Nothing else can be."
  type        = set(string)

  validation {
    condition     = alltrue([for name in var.function_services : can(regex("^projects/[a-z0-9-]+/locations/[a-z0-9-]+/services/[a-z0-9-]+$", name))])
    error_message = "function_services must be projects/PROJECT/locations/REGION/services/NAME, without a wildcard."
  }

  validation {
    condition     = length(var.function_services) >= 1
    error_message = "function_services must name a service."
  }
}

variable "api_invokers" {
  description = "Who may call the API, such as serviceAccount:shop@PROJECT.iam.gserviceaccount.com. They need an API key besides."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.api_invokers : can(regex("^(serviceAccount|user|group):[^*]+$", member))])
    error_message = "api_invokers must be serviceAccount:, user: or group: members; never allUsers or allAuthenticatedUsers."
  }
}

variable "dispatchers" {
  description = "How many dispatchers run, always. Cloud Run scales by requests, and a dispatcher gets none."
  type        = number
  default     = 2

  validation {
    condition     = var.dispatchers >= 1 && var.dispatchers <= 50 && floor(var.dispatchers) == var.dispatchers
    error_message = "dispatchers must be a whole number from 1 to 50."
  }
}

variable "gateways" {
  description = "How many gateways run: min always, more up to max while requests come."
  type = object({
    min = optional(number, 1)
    max = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.gateways.min >= 1 && var.gateways.max >= var.gateways.min && var.gateways.max <= 100
    error_message = "gateways needs 1 <= min <= max <= 100."
  }
}

variable "database" {
  description = "The database: version (15 to 18), tier, storage in GB (it grows by itself) and how many daily backups are kept."
  type = object({
    version    = optional(string, "16")
    tier       = optional(string, "db-custom-2-8192")
    storage_gb = optional(number, 100)
    backups    = optional(number, 14)
  })
  default = {}

  validation {
    condition     = contains(["15", "16", "17", "18"], var.database.version)
    error_message = "database.version must be a major version from 15 to 18."
  }

  validation {
    condition     = var.database.storage_gb >= 10 && var.database.backups >= 1 && var.database.backups <= 365
    error_message = "database needs storage_gb of 10 or more, and backups of 1 to 365."
  }
}

variable "deletion_protection" {
  description = "Whether database and services refuse to be destroyed."
  type        = bool
  default     = true
}
