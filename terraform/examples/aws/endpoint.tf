# A one-off task that runs `posthaste endpoint put greeter`. The document has the signing secret in it, so it is a secret
# itself, filled by hand; a first container makes a file of it, since the command reads it from a file.

resource "aws_secretsmanager_secret" "endpoint" {
  #checkov:skip=CKV2_AWS_57:The document is changed by hand, together with the function: docs/how-to/rotate-secrets.md.
  name       = "posthaste/endpoint-greeter"
  kms_key_id = module.posthaste.kms_key_arn
}

resource "aws_iam_role_policy" "read_endpoint" {
  name = "read-endpoint"
  role = module.posthaste.operator.execution_role_name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = aws_secretsmanager_secret.endpoint.arn
    }]
  })
}

resource "aws_ecs_task_definition" "endpoint" {
  family                   = "posthaste-endpoint-greeter"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = module.posthaste.operator.execution_role_arn

  volume {
    name = "spec"
  }

  container_definitions = jsonencode([
    {
      name                   = "spec"
      image                  = "public.ecr.aws/docker/library/busybox:stable"
      essential              = false
      readonlyRootFilesystem = true
      command                = ["sh", "-c", "printf %s \"$SPEC\" > /spec/endpoint.json"]
      secrets                = [{ name = "SPEC", valueFrom = aws_secretsmanager_secret.endpoint.arn }]
      mountPoints            = [{ sourceVolume = "spec", containerPath = "/spec" }]
      logConfiguration       = module.posthaste.operator.log
    },
    {
      name                   = "posthaste"
      image                  = module.posthaste.operator.image
      command                = ["endpoint", "put", "greeter", "--spec", "@/spec/endpoint.json"]
      essential              = true
      readonlyRootFilesystem = true
      dependsOn              = [{ containerName = "spec", condition = "SUCCESS" }]
      mountPoints            = [{ sourceVolume = "spec", containerPath = "/spec", readOnly = true }]
      environment            = [for name, value in module.posthaste.operator.environment : { name = name, value = value }]
      secrets                = [for name, arn in module.posthaste.operator.secrets : { name = name, valueFrom = arn }]
      logConfiguration       = module.posthaste.operator.log
    },
  ])
}
