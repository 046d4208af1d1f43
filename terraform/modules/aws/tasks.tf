locals {
  gateway_url = "https://${var.gateway_host}"

  # No password in it: each task gets its own as PGPASSWORD, from its secret. The server must show that it is this one.
  database_url = {
    for task, user in { gateway = "ph_gateway", dispatcher = "ph_dispatcher", api = "ph_api", migrate = "posthaste_owner" } :
    task => "postgres://${user}@${aws_db_instance.this.address}:${local.database_port}/${aws_db_instance.this.db_name}?sslmode=verify-full"
  }

  # What is no secret, of each task.
  environment = {
    for task in keys(local.task_secrets) : task => merge(
      {
        POSTHASTE_DATABASE_URL = local.database_url[task]
        PGSSLROOTCERT          = trimspace(var.database_ca)
        POSTHASTE_LOG_FORMAT   = "json"
      },
      task == "migrate" ? {} : {
        POSTHASTE_GATEWAY_URL = local.gateway_url
        POSTHASTE_API_LISTEN  = "0.0.0.0:${local.api_port}"
      },
      task == "gateway" ? { POSTHASTE_GATEWAY_LISTEN = "0.0.0.0:${local.gateway_port}" } : {},
    )
  }

  command = { gateway = "gateway", dispatcher = "dispatcher", api = "serve", migrate = "migrate" }
  ports   = { gateway = [local.gateway_port, local.api_port], dispatcher = [], api = [local.api_port], migrate = [] }

  log = {
    for task in keys(local.task_secrets) : task => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this[task].name
        awslogs-region        = local.region
        awslogs-stream-prefix = task
      }
    }
  }

  # ECS looks at no HEALTHCHECK of an image: the one of the Containerfile again. A task that fails it is stopped, and made anew.
  alive = {
    command     = ["CMD", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${local.api_port} && printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -t 3 -u 3 answer && [[ $answer == *' 200 '* ]]"]
    interval    = 10
    timeout     = 5
    startPeriod = 30
    retries     = 3
  }

  # The container that runs `posthaste`, in each task. The migration ends by itself: nobody asks it.
  posthaste = {
    for task, secrets in local.task_secrets : task => merge(
      task == "migrate" ? {} : { healthCheck = local.alive },
      {
        name                   = "posthaste"
        image                  = var.image
        command                = [local.command[task]]
        essential              = task != "migrate"
        readonlyRootFilesystem = true
        # Open requests have 30 s after SIGTERM, and then their ends are written.
        stopTimeout      = 40
        environment      = [for name, value in local.environment[task] : { name = name, value = value }]
        secrets          = [for name, arn in secrets : { name = name, valueFrom = arn } if !endswith(name, "_PASSWORD")]
        portMappings     = [for port in local.ports[task] : { containerPort = port, protocol = "tcp" }]
        logConfiguration = local.log[task]
      },
    )
  }

  # Reads the metrics of the API on the loopback of its task, and writes the queue lag where CloudWatch finds it.
  collector = {
    name                   = "collector"
    image                  = var.collector_image
    essential              = false
    readonlyRootFilesystem = true
    environment            = [{ name = "AOT_CONFIG_CONTENT", value = yamlencode(local.collector_config) }]
    logConfiguration       = local.log["api"]
  }

  # Once the schema is up to date: the login roles and their passwords. A volume of Fargate belongs to root.
  roles = {
    name                   = "roles"
    image                  = var.psql_image
    entryPoint             = ["sh", "-c"]
    command                = [file("${path.module}/../roles.sh")]
    essential              = true
    readonlyRootFilesystem = true
    dependsOn              = [{ containerName = "posthaste", condition = "SUCCESS" }]
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp" }]
    environment = [
      { name = "PGHOST", value = aws_db_instance.this.address },
      { name = "PGUSER", value = "posthaste_owner" },
      { name = "PGDATABASE", value = aws_db_instance.this.db_name },
      { name = "PGSSLMODE", value = "verify-full" },
      { name = "DATABASE_CA", value = trimspace(var.database_ca) },
    ]
    secrets          = [for name, arn in local.task_secrets["migrate"] : { name = name, valueFrom = arn }]
    logConfiguration = local.log["migrate"]
  }

  tasks = {
    gateway    = { containers = [local.posthaste["gateway"]], role = null, cpu = 512, memory = 1024 }
    dispatcher = { containers = [local.posthaste["dispatcher"]], role = aws_iam_role.dispatcher.arn, cpu = 1024, memory = 2048 }
    api        = { containers = [local.posthaste["api"], local.collector], role = aws_iam_role.api.arn, cpu = 1024, memory = 2048 }
    migrate    = { containers = [local.posthaste["migrate"], local.roles], role = null, cpu = 256, memory = 512 }
  }
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.tasks

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = aws_iam_role.execution[each.key].arn
  task_role_arn            = each.value.role
  container_definitions    = jsonencode(each.value.containers)

  dynamic "volume" {
    for_each = each.key == "migrate" ? ["tmp"] : []
    content {
      name = volume.value
    }
  }
}
