locals {
  # Only ECS may take these roles, for tasks of this account.
  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })

  # A call of a function URL needs both actions.
  invoke_named_functions = {
    Sid      = "InvokeNamedFunctions"
    Effect   = "Allow"
    Action   = ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"]
    Resource = sort(var.function_arns)
  }

  # What dispatchers and API may do in AWS. Functions of other accounts are called through roles there.
  dispatch = concat([local.invoke_named_functions], [for roles in [sort(var.invoke_role_arns)] : {
    Sid      = "AssumeNamedRoles"
    Effect   = "Allow"
    Action   = ["sts:AssumeRole"]
    Resource = roles
  } if length(roles) > 0])
}

# What ECS itself does to start a task: fetch the image, read that task's secrets and no others, write that task's log.
resource "aws_iam_role" "execution" {
  for_each = local.task_secrets

  name               = "${var.name}-${each.key}-execution"
  assume_role_policy = local.assumed_by_tasks
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.task_secrets

  name = "start"
  role = aws_iam_role.execution[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadItsSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = sort([for arn in values(each.value) : trimsuffix(arn, ":password::")])
      },
      {
        Sid      = "OpenItsSecrets"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = aws_kms_key.this.arn
      },
      {
        Sid      = "WriteItsLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this[each.key].arn}:*"
      },
      {
        Sid      = "SignInToRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Sid      = "FetchImages"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "arn:${local.partition}:ecr:*:*:repository/*"
      },
    ]
  })
}

# What the processes may do. Gateways and the migration have no role: they call nothing of AWS.
resource "aws_iam_role" "dispatcher" {
  name               = "${var.name}-dispatcher"
  assume_role_policy = local.assumed_by_tasks
}

resource "aws_iam_role_policy" "dispatcher" {
  name   = "invoke"
  role   = aws_iam_role.dispatcher.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.dispatch })
}

# The API has a dispatcher in it, and the collector beside it.
resource "aws_iam_role" "api" {
  name               = "${var.name}-api"
  assume_role_policy = local.assumed_by_tasks
}

resource "aws_iam_role_policy" "api" {
  name = "invoke-and-measure"
  role = aws_iam_role.api.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.dispatch, [{
      Sid      = "WriteMetrics"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.this["metrics"].arn}:*"
    }])
  })
}

resource "aws_iam_role" "database_monitoring" {
  name = "${var.name}-database-monitoring"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "database_monitoring" {
  role       = aws_iam_role.database_monitoring.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
