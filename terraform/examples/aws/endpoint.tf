# A one-off task that runs `posthaste endpoint put greeter`. The document has the signing secret in it, so it is a secret
# itself, filled by hand; bash hands it to the command, which reads it from stdin.

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

  container_definitions = jsonencode([
    {
      name                   = "posthaste"
      image                  = module.posthaste.operator.image
      entryPoint             = ["bash", "-c"]
      command                = ["printf %s \"$SPEC\" | posthaste endpoint put greeter --spec -"]
      essential              = true
      readonlyRootFilesystem = true
      environment            = [for name, value in module.posthaste.operator.environment : { name = name, value = value }]
      secrets                = [for name, arn in merge(module.posthaste.operator.secrets, { SPEC = aws_secretsmanager_secret.endpoint.arn }) : { name = name, valueFrom = arn }]
      logConfiguration       = module.posthaste.operator.log
    },
  ])
}
