variable "region" {
  description = "The region."
  type        = string
}

variable "image" {
  description = "Posthaste's image, in ECR."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "public_subnet_ids" {
  description = "Subnets with an internet gateway."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Subnets with a NAT gateway."
  type        = list(string)
}

variable "gateway_host" {
  description = "The public host name of the callback gateway."
  type        = string
}

variable "gateway_certificate_arn" {
  description = "Its certificate."
  type        = string
}

variable "api_certificate_arn" {
  description = "The certificate of the API's name in the VPC."
  type        = string
}

variable "database_ca_file" {
  description = "The region's bundle of database CAs, downloaded from truststore.pki.rds.amazonaws.com."
  type        = string
  default     = "rds-ca.pem"
}
