# Posthaste, a sample function, and the endpoint that leads jobs of the kind `hello` to it. docs/how-to/deploy-aws.md goes
# through it step by step.

module "posthaste" {
  source = "../../modules/aws"

  image                   = var.image
  vpc_id                  = var.vpc_id
  public_subnet_ids       = var.public_subnet_ids
  private_subnet_ids      = var.private_subnet_ids
  gateway_host            = var.gateway_host
  gateway_certificate_arn = var.gateway_certificate_arn
  api_certificate_arn     = var.api_certificate_arn
  database_ca             = file(var.database_ca_file)
  function_arns           = [aws_lambda_function.greeter.arn]
}
