variable "name" {
  description = "The name of this Posthaste: a prefix of everything that is made, and the path of its secrets."
  type        = string
  default     = "posthaste"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "name must be 2 to 20 of a-z, 0-9 and -, the first a letter."
  }
}

variable "image" {
  description = "The image that the Containerfile builds, in a registry that the tasks can reach, with a tag or digest that does not move."
  type        = string

  validation {
    condition     = can(regex("[:@][^/]+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image must end with a tag other than latest, or with a digest."
  }
}

variable "psql_image" {
  description = "An image with sh and psql, for the step of the migration that makes the database's login roles. Docker Hub limits what one address pulls: name a copy in your registry."
  type        = string
  default     = "postgres:17-alpine"
}

variable "collector_image" {
  description = "The AWS Distro for OpenTelemetry collector, which carries the queue lag to CloudWatch. A copy in your registry is better here too."
  type        = string
  default     = "amazon/aws-otel-collector:v0.43.1"
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "public_subnet_ids" {
  description = "Subnets with an internet gateway, for the gateway's load balancer alone. Two or more availability zones."
  type        = list(string)

  validation {
    condition     = length(var.public_subnet_ids) >= 2
    error_message = "public_subnet_ids must name two or more subnets."
  }
}

variable "private_subnet_ids" {
  description = "Subnets with a NAT gateway, for tasks, database and the API's load balancer. Two or more availability zones."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "private_subnet_ids must name two or more subnets."
  }
}

variable "gateway_host" {
  description = "The public host name of the callback gateway, such as callbacks.example.com. Point it at the output gateway_load_balancer."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.gateway_host))
    error_message = "gateway_host must be a host name in lower case, without scheme or path."
  }
}

variable "gateway_certificate_arn" {
  description = "The ACM certificate of gateway_host."
  type        = string

  validation {
    condition     = startswith(var.gateway_certificate_arn, "arn:")
    error_message = "gateway_certificate_arn must be the ARN of a certificate."
  }
}

variable "api_certificate_arn" {
  description = "The ACM certificate of the name by which clients in the VPC call the API. Point that name at the output api_load_balancer."
  type        = string

  validation {
    condition     = startswith(var.api_certificate_arn, "arn:")
    error_message = "api_certificate_arn must be the ARN of a certificate."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of your services: only they may call the API and connect to the database."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.client_security_group_ids : startswith(id, "sg-")])
    error_message = "client_security_group_ids must be ids of security groups (sg-...)."
  }
}

variable "function_arns" {
  description = "The Lambda functions that may be invoked, each by its whole ARN (or that of a version or alias). Nothing else can be."
  type        = set(string)

  validation {
    condition     = alltrue([for arn in var.function_arns : can(regex("^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_:$-]+$", arn))])
    error_message = "function_arns must be ARNs of functions, without a wildcard."
  }

  validation {
    condition     = length(var.function_arns) >= 1
    error_message = "function_arns must name a function."
  }
}

variable "invoke_role_arns" {
  description = "Roles of other accounts that dispatchers may assume, each by its whole ARN: the auth.role_arn of endpoints. No other can be."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.invoke_role_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", arn))])
    error_message = "invoke_role_arns must be ARNs of roles, without a wildcard."
  }
}

variable "dispatchers" {
  description = "How many dispatchers run: at least min; more, up to max, while the first job of a queue has waited longer than lag_seconds."
  type = object({
    min         = optional(number, 2)
    max         = optional(number, 8)
    lag_seconds = optional(number, 30)
  })
  default = {}

  validation {
    condition     = var.dispatchers.min >= 1 && var.dispatchers.max >= var.dispatchers.min && var.dispatchers.max <= 50
    error_message = "dispatchers needs 1 <= min <= max <= 50."
  }

  validation {
    condition     = var.dispatchers.lag_seconds >= 1
    error_message = "dispatchers.lag_seconds must be 1 or more."
  }
}

variable "database" {
  description = "The database: version (15 to 18), class, storage in GiB (it grows to ten times that) and days of backups."
  type = object({
    version        = optional(string, "16")
    instance_class = optional(string, "db.m7g.large")
    storage_gb     = optional(number, 100)
    backup_days    = optional(number, 14)
  })
  default = {}

  validation {
    condition     = contains(["15", "16", "17", "18"], var.database.version)
    error_message = "database.version must be a major version from 15 to 18."
  }

  validation {
    condition     = var.database.storage_gb >= 20 && var.database.storage_gb <= 6000
    error_message = "database.storage_gb must be 20 to 6000."
  }

  validation {
    condition     = var.database.backup_days >= 1 && var.database.backup_days <= 35
    error_message = "database.backup_days must be 1 to 35."
  }
}

variable "database_ca" {
  description = "The certificates of the region's database CA, as PEM: https://truststore.pki.rds.amazonaws.com/REGION/REGION-bundle.pem."
  type        = string

  validation {
    condition     = startswith(trimspace(var.database_ca), "-----BEGIN CERTIFICATE-----") && endswith(trimspace(var.database_ca), "-----END CERTIFICATE-----")
    error_message = "database_ca must be PEM certificates and nothing else, without comments before, between the first BEGIN and the last END."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods that CloudWatch Logs has."
  }
}

variable "deletion_protection" {
  description = "Whether database and load balancers refuse to be destroyed. False also leaves no final snapshot."
  type        = bool
  default     = true
}
