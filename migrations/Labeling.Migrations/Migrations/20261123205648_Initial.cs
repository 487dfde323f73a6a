using System;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace Labeling.Migrations.Migrations
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "data_protection_keys",
                columns: table => new
                {
                    id = table.Column<int>(type: "integer", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    friendly_name = table.Column<string>(type: "text", nullable: true),
                    xml = table.Column<string>(type: "text", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_data_protection_keys", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "projects",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    description = table.Column<string>(type: "text", nullable: false),
                    demonstration_overlap = table.Column<int>(type: "integer", nullable: false),
                    ranking_overlap = table.Column<int>(type: "integer", nullable: false),
                    answers_per_prompt = table.Column<int>(type: "integer", nullable: false),
                    lease_minutes = table.Column<int>(type: "integer", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    archived_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_projects", x => x.id);
                    table.CheckConstraint("ck_projects_answers_per_prompt", "answers_per_prompt between 2 and 9");
                    table.CheckConstraint("ck_projects_lease_minutes", "lease_minutes between 1 and 10080");
                    table.CheckConstraint("ck_projects_name", "length(name) between 1 and 200");
                    table.CheckConstraint("ck_projects_overlaps", "demonstration_overlap between 1 and 100 and ranking_overlap between 1 and 100");
                });

            migrationBuilder.CreateTable(
                name: "users",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    display_name = table.Column<string>(type: "text", nullable: false),
                    roles = table.Column<int>(type: "integer", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    disabled_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    user_name = table.Column<string>(type: "character varying(256)", maxLength: 256, nullable: true),
                    normalized_user_name = table.Column<string>(type: "character varying(256)", maxLength: 256, nullable: true),
                    email = table.Column<string>(type: "character varying(256)", maxLength: 256, nullable: true),
                    normalized_email = table.Column<string>(type: "character varying(256)", maxLength: 256, nullable: true),
                    email_confirmed = table.Column<bool>(type: "boolean", nullable: false),
                    password_hash = table.Column<string>(type: "text", nullable: true),
                    security_stamp = table.Column<string>(type: "text", nullable: true),
                    concurrency_stamp = table.Column<string>(type: "text", nullable: true),
                    phone_number = table.Column<string>(type: "text", nullable: true),
                    phone_number_confirmed = table.Column<bool>(type: "boolean", nullable: false),
                    two_factor_enabled = table.Column<bool>(type: "boolean", nullable: false),
                    lockout_end = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    lockout_enabled = table.Column<bool>(type: "boolean", nullable: false),
                    access_failed_count = table.Column<int>(type: "integer", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_users", x => x.id);
                    table.CheckConstraint("ck_users_roles", "roles between 0 and 7");
                });

            migrationBuilder.CreateTable(
                name: "prompt_authors",
                columns: table => new
                {
                    project_id = table.Column<Guid>(type: "uuid", nullable: false),
                    author = table.Column<string>(type: "text", nullable: false),
                    split = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_prompt_authors", x => new { x.project_id, x.author });
                    table.UniqueConstraint("ak_prompt_authors_project_id_author_split", x => new { x.project_id, x.author, x.split });
                    table.CheckConstraint("ck_prompt_authors_split", "split in ('train', 'valid', 'test')");
                    table.ForeignKey(
                        name: "fk_prompt_authors_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "api_keys",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    prefix = table.Column<string>(type: "text", nullable: false),
                    hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    last_used_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    revoked_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_api_keys", x => x.id);
                    table.CheckConstraint("ck_api_keys_hash", "octet_length(hash) = 32");
                    table.ForeignKey(
                        name: "fk_api_keys_users_user_id",
                        column: x => x.user_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "audit_events",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    actor_id = table.Column<Guid>(type: "uuid", nullable: true),
                    action = table.Column<string>(type: "text", nullable: false),
                    subject = table.Column<string>(type: "text", nullable: true),
                    details = table.Column<string>(type: "text", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_audit_events", x => x.id);
                    table.ForeignKey(
                        name: "fk_audit_events_users_actor_id",
                        column: x => x.actor_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "dataset_versions",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    project_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    number = table.Column<int>(type: "integer", nullable: false),
                    kind = table.Column<string>(type: "text", nullable: false),
                    filter = table.Column<string>(type: "json", nullable: false),
                    row_count = table.Column<int>(type: "integer", nullable: false),
                    sha256 = table.Column<string>(type: "text", nullable: false),
                    created_by_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_dataset_versions", x => x.id);
                    table.CheckConstraint("ck_dataset_versions_kind", "kind in ('demonstrations', 'rankings', 'prompts')");
                    table.CheckConstraint("ck_dataset_versions_number", "number >= 1");
                    table.CheckConstraint("ck_dataset_versions_row_count", "row_count >= 0");
                    table.CheckConstraint("ck_dataset_versions_sha256", "sha256 ~ '^[0-9a-f]{64}$'");
                    table.ForeignKey(
                        name: "fk_dataset_versions_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_dataset_versions_users_created_by_id",
                        column: x => x.created_by_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "guideline_versions",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    project_id = table.Column<Guid>(type: "uuid", nullable: false),
                    number = table.Column<int>(type: "integer", nullable: false),
                    markdown = table.Column<string>(type: "text", nullable: false),
                    author_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_guideline_versions", x => x.id);
                    table.CheckConstraint("ck_guideline_versions_number", "number >= 1");
                    table.ForeignKey(
                        name: "fk_guideline_versions_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_guideline_versions_users_author_id",
                        column: x => x.author_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "invitations",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    token_hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    roles = table.Column<int>(type: "integer", nullable: false),
                    note = table.Column<string>(type: "text", nullable: true),
                    created_by_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    used_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    used_by_id = table.Column<Guid>(type: "uuid", nullable: true),
                    revoked_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_invitations", x => x.id);
                    table.CheckConstraint("ck_invitations_ended_once", "used_at is null or revoked_at is null");
                    table.CheckConstraint("ck_invitations_roles", "roles between 1 and 7");
                    table.CheckConstraint("ck_invitations_token_hash", "octet_length(token_hash) = 32");
                    table.CheckConstraint("ck_invitations_used", "(used_at is null) = (used_by_id is null)");
                    table.ForeignKey(
                        name: "fk_invitations_users_created_by_id",
                        column: x => x.created_by_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_invitations_users_used_by_id",
                        column: x => x.used_by_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "prompt_imports",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    project_id = table.Column<Guid>(type: "uuid", nullable: false),
                    file_name = table.Column<string>(type: "text", nullable: false),
                    imported = table.Column<int>(type: "integer", nullable: false),
                    duplicates = table.Column<int>(type: "integer", nullable: false),
                    rejected = table.Column<int>(type: "integer", nullable: false),
                    problems = table.Column<string>(type: "json", nullable: false),
                    created_by_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_prompt_imports", x => x.id);
                    table.CheckConstraint("ck_prompt_imports_counts", "imported >= 0 and duplicates >= 0 and rejected >= 0");
                    table.ForeignKey(
                        name: "fk_prompt_imports_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_prompt_imports_users_created_by_id",
                        column: x => x.created_by_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "user_claims",
                columns: table => new
                {
                    id = table.Column<int>(type: "integer", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    claim_type = table.Column<string>(type: "text", nullable: true),
                    claim_value = table.Column<string>(type: "text", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_claims", x => x.id);
                    table.ForeignKey(
                        name: "fk_user_claims_users_user_id",
                        column: x => x.user_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "user_logins",
                columns: table => new
                {
                    login_provider = table.Column<string>(type: "text", nullable: false),
                    provider_key = table.Column<string>(type: "text", nullable: false),
                    provider_display_name = table.Column<string>(type: "text", nullable: true),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_logins", x => new { x.login_provider, x.provider_key });
                    table.ForeignKey(
                        name: "fk_user_logins_users_user_id",
                        column: x => x.user_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "user_tokens",
                columns: table => new
                {
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    login_provider = table.Column<string>(type: "text", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    value = table.Column<string>(type: "text", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_tokens", x => new { x.user_id, x.login_provider, x.name });
                    table.ForeignKey(
                        name: "fk_user_tokens_users_user_id",
                        column: x => x.user_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "dataset_files",
                columns: table => new
                {
                    dataset_version_id = table.Column<Guid>(type: "uuid", nullable: false),
                    split = table.Column<string>(type: "text", nullable: false),
                    rows = table.Column<int>(type: "integer", nullable: false),
                    bytes = table.Column<long>(type: "bigint", nullable: false),
                    sha256 = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_dataset_files", x => new { x.dataset_version_id, x.split });
                    table.CheckConstraint("ck_dataset_files_sha256", "sha256 ~ '^[0-9a-f]{64}$'");
                    table.CheckConstraint("ck_dataset_files_sizes", "rows >= 0 and bytes >= 0");
                    table.CheckConstraint("ck_dataset_files_split", "split in ('train', 'valid', 'test')");
                    table.ForeignKey(
                        name: "fk_dataset_files_dataset_versions_dataset_version_id",
                        column: x => x.dataset_version_id,
                        principalTable: "dataset_versions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "training_runs",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    project_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    stage = table.Column<string>(type: "text", nullable: false),
                    hyperparameters = table.Column<string>(type: "json", nullable: false),
                    seed = table.Column<long>(type: "bigint", nullable: false),
                    dataset_version_id = table.Column<Guid>(type: "uuid", nullable: false),
                    create_ranking_tasks = table.Column<bool>(type: "boolean", nullable: false),
                    batch = table.Column<string>(type: "text", nullable: true),
                    created_by_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    state = table.Column<string>(type: "text", nullable: false),
                    priority = table.Column<int>(type: "integer", nullable: false),
                    attempt = table.Column<int>(type: "integer", nullable: false),
                    max_attempts = table.Column<int>(type: "integer", nullable: false),
                    available_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    lease_token = table.Column<Guid>(type: "uuid", nullable: true),
                    lease_owner = table.Column<string>(type: "text", nullable: true),
                    lease_expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    cancel_requested_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    started_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    finished_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    failure_reason = table.Column<string>(type: "text", nullable: true),
                    phase = table.Column<string>(type: "text", nullable: true),
                    step = table.Column<int>(type: "integer", nullable: false),
                    total_steps = table.Column<int>(type: "integer", nullable: true),
                    progress_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    log_tail = table.Column<string>(type: "text", nullable: true),
                    result = table.Column<string>(type: "json", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_training_runs", x => x.id);
                    table.CheckConstraint("ck_training_runs_attempts", "attempt >= 0 and max_attempts >= 1");
                    table.CheckConstraint("ck_training_runs_failure_reason", "state <> 'failed' or failure_reason is not null");
                    table.CheckConstraint("ck_training_runs_finished_at", "(state in ('completed', 'failed', 'cancelled')) = (finished_at is not null)");
                    table.CheckConstraint("ck_training_runs_lease", "(state = 'running') = (lease_token is not null) and (lease_token is null) = (lease_owner is null) and (lease_token is null) = (lease_expires_at is null)");
                    table.CheckConstraint("ck_training_runs_stage", "stage in ('sft', 'sample', 'reward', 'ppo')");
                    table.CheckConstraint("ck_training_runs_state", "state in ('available', 'running', 'retryable', 'completed', 'failed', 'cancelled')");
                    table.CheckConstraint("ck_training_runs_steps", "step >= 0 and total_steps >= 0");
                    table.ForeignKey(
                        name: "fk_training_runs_dataset_versions_dataset_version_id",
                        column: x => x.dataset_version_id,
                        principalTable: "dataset_versions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_training_runs_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_training_runs_users_created_by_id",
                        column: x => x.created_by_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "prompts",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    project_id = table.Column<Guid>(type: "uuid", nullable: false),
                    messages = table.Column<string>(type: "json", nullable: false),
                    source = table.Column<string>(type: "text", nullable: false),
                    author_id = table.Column<Guid>(type: "uuid", nullable: true),
                    author = table.Column<string>(type: "text", nullable: true),
                    external_id = table.Column<string>(type: "text", nullable: true),
                    category = table.Column<string>(type: "text", nullable: true),
                    language = table.Column<string>(type: "text", nullable: true),
                    split = table.Column<string>(type: "text", nullable: false),
                    consent = table.Column<bool>(type: "boolean", nullable: false),
                    content_hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    import_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_prompts", x => x.id);
                    table.CheckConstraint("ck_prompts_content_hash", "octet_length(content_hash) = 32");
                    table.CheckConstraint("ck_prompts_source", "source in ('labeler', 'api', 'import')");
                    table.CheckConstraint("ck_prompts_split", "split in ('train', 'valid', 'test')");
                    table.ForeignKey(
                        name: "fk_prompts_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_prompts_prompt_authors_project_id_author_split",
                        columns: x => new { x.project_id, x.author, x.split },
                        principalTable: "prompt_authors",
                        principalColumns: new[] { "project_id", "author", "split" },
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_prompts_prompt_imports_import_id",
                        column: x => x.import_id,
                        principalTable: "prompt_imports",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_prompts_users_author_id",
                        column: x => x.author_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "models",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    project_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    kind = table.Column<string>(type: "text", nullable: false),
                    run_id = table.Column<Guid>(type: "uuid", nullable: true),
                    parent_id = table.Column<Guid>(type: "uuid", nullable: true),
                    description = table.Column<string>(type: "text", nullable: true),
                    metrics = table.Column<string>(type: "json", nullable: true),
                    promoted_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_models", x => x.id);
                    table.CheckConstraint("ck_models_kind", "kind in ('policy', 'reward')");
                    table.CheckConstraint("ck_models_promoted_at", "promoted_at is null or kind = 'policy'");
                    table.ForeignKey(
                        name: "fk_models_models_parent_id",
                        column: x => x.parent_id,
                        principalTable: "models",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_models_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_models_training_runs_run_id",
                        column: x => x.run_id,
                        principalTable: "training_runs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "run_metrics",
                columns: table => new
                {
                    run_id = table.Column<Guid>(type: "uuid", nullable: false),
                    step = table.Column<int>(type: "integer", nullable: false),
                    time = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    values = table.Column<string>(type: "json", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_run_metrics", x => new { x.run_id, x.step });
                    table.CheckConstraint("ck_run_metrics_step", "step >= 0");
                    table.ForeignKey(
                        name: "fk_run_metrics_training_runs_run_id",
                        column: x => x.run_id,
                        principalTable: "training_runs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "tasks",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    project_id = table.Column<Guid>(type: "uuid", nullable: false),
                    prompt_id = table.Column<Guid>(type: "uuid", nullable: false),
                    kind = table.Column<string>(type: "text", nullable: false),
                    state = table.Column<string>(type: "text", nullable: false),
                    overlap = table.Column<int>(type: "integer", nullable: false),
                    taken = table.Column<int>(type: "integer", nullable: false),
                    finished = table.Column<int>(type: "integer", nullable: false),
                    next_lapse_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    priority = table.Column<int>(type: "integer", nullable: false),
                    batch = table.Column<string>(type: "text", nullable: true),
                    run_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_tasks", x => x.id);
                    table.UniqueConstraint("ak_tasks_id_overlap", x => new { x.id, x.overlap });
                    table.CheckConstraint("ck_tasks_counts", "overlap >= 1 and finished >= 0 and finished <= taken and taken <= overlap");
                    table.CheckConstraint("ck_tasks_done", "state = 'cancelled' or (state = 'done') = (finished = overlap)");
                    table.CheckConstraint("ck_tasks_kind", "kind in ('demonstration', 'ranking')");
                    table.CheckConstraint("ck_tasks_next_lapse_at", "(taken > finished) = (next_lapse_at is not null)");
                    table.CheckConstraint("ck_tasks_state", "state in ('open', 'done', 'cancelled')");
                    table.ForeignKey(
                        name: "fk_tasks_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_tasks_prompts_prompt_id",
                        column: x => x.prompt_id,
                        principalTable: "prompts",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_tasks_training_runs_run_id",
                        column: x => x.run_id,
                        principalTable: "training_runs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "model_files",
                columns: table => new
                {
                    model_id = table.Column<Guid>(type: "uuid", nullable: false),
                    path = table.Column<string>(type: "text", nullable: false),
                    sha256 = table.Column<string>(type: "text", nullable: false),
                    bytes = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_model_files", x => new { x.model_id, x.path });
                    table.CheckConstraint("ck_model_files_bytes", "bytes >= 0");
                    table.CheckConstraint("ck_model_files_sha256", "sha256 ~ '^[0-9a-f]{64}$'");
                    table.ForeignKey(
                        name: "fk_model_files_models_model_id",
                        column: x => x.model_id,
                        principalTable: "models",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "training_run_models",
                columns: table => new
                {
                    run_id = table.Column<Guid>(type: "uuid", nullable: false),
                    role = table.Column<string>(type: "text", nullable: false),
                    ordinal = table.Column<int>(type: "integer", nullable: false),
                    model_id = table.Column<Guid>(type: "uuid", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_training_run_models", x => new { x.run_id, x.role, x.ordinal });
                    table.CheckConstraint("ck_training_run_models_ordinal", "ordinal >= 0");
                    table.CheckConstraint("ck_training_run_models_role", "role in ('base', 'reward', 'sampled')");
                    table.ForeignKey(
                        name: "fk_training_run_models_models_model_id",
                        column: x => x.model_id,
                        principalTable: "models",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_training_run_models_training_runs_run_id",
                        column: x => x.run_id,
                        principalTable: "training_runs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "assignments",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    task_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    state = table.Column<string>(type: "text", nullable: false),
                    overlap = table.Column<int>(type: "integer", nullable: false),
                    slot = table.Column<int>(type: "integer", nullable: true),
                    lease_token = table.Column<Guid>(type: "uuid", nullable: false),
                    claimed_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    finished_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    skip_reason = table.Column<string>(type: "text", nullable: true),
                    guideline_version_id = table.Column<Guid>(type: "uuid", nullable: true),
                    shown_order = table.Column<Guid[]>(type: "uuid[]", nullable: true),
                    draft = table.Column<string>(type: "text", nullable: true),
                    draft_version = table.Column<int>(type: "integer", nullable: false),
                    draft_saved_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_assignments", x => x.id);
                    table.CheckConstraint("ck_assignments_draft", "draft_version >= 0 and (draft_version = 0) = (draft_saved_at is null)");
                    table.CheckConstraint("ck_assignments_finished_at", "(state in ('submitted', 'surplus', 'skipped')) = (finished_at is not null)");
                    table.CheckConstraint("ck_assignments_skip_reason", "(state = 'skipped') = (skip_reason is not null)");
                    table.CheckConstraint("ck_assignments_slot", "slot between 1 and overlap");
                    table.CheckConstraint("ck_assignments_slot_held", "(state in ('active', 'submitted')) = (slot is not null)");
                    table.CheckConstraint("ck_assignments_state", "state in ('active', 'submitted', 'surplus', 'skipped', 'lapsed')");
                    table.ForeignKey(
                        name: "fk_assignments_guideline_versions_guideline_version_id",
                        column: x => x.guideline_version_id,
                        principalTable: "guideline_versions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_assignments_tasks_task_id_overlap",
                        columns: x => new { x.task_id, x.overlap },
                        principalTable: "tasks",
                        principalColumns: new[] { "id", "overlap" },
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_assignments_users_user_id",
                        column: x => x.user_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "completions",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    prompt_id = table.Column<Guid>(type: "uuid", nullable: false),
                    source = table.Column<string>(type: "text", nullable: false),
                    text = table.Column<string>(type: "text", nullable: false),
                    author_id = table.Column<Guid>(type: "uuid", nullable: true),
                    assignment_id = table.Column<Guid>(type: "uuid", nullable: true),
                    guideline_version_id = table.Column<Guid>(type: "uuid", nullable: true),
                    seconds_spent = table.Column<int>(type: "integer", nullable: true),
                    edited_from_id = table.Column<Guid>(type: "uuid", nullable: true),
                    surplus = table.Column<bool>(type: "boolean", nullable: false),
                    model_id = table.Column<Guid>(type: "uuid", nullable: true),
                    run_id = table.Column<Guid>(type: "uuid", nullable: true),
                    sample_index = table.Column<int>(type: "integer", nullable: true),
                    temperature = table.Column<double>(type: "double precision", nullable: true),
                    top_p = table.Column<double>(type: "double precision", nullable: true),
                    seed = table.Column<long>(type: "bigint", nullable: true),
                    token_count = table.Column<int>(type: "integer", nullable: true),
                    finish_reason = table.Column<string>(type: "text", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_completions", x => x.id);
                    table.CheckConstraint("ck_completions_edited", "source <> 'edited' or (author_id is not null and edited_from_id is not null and model_id is null and run_id is null and sample_index is null)");
                    table.CheckConstraint("ck_completions_finish_reason", "finish_reason in ('stop', 'length')");
                    table.CheckConstraint("ck_completions_human", "source <> 'human' or (author_id is not null and edited_from_id is null and model_id is null and run_id is null and sample_index is null)");
                    table.CheckConstraint("ck_completions_model", "source <> 'model' or (model_id is not null and run_id is not null and sample_index is not null and author_id is null and assignment_id is null and edited_from_id is null)");
                    table.CheckConstraint("ck_completions_numbers", "sample_index >= 0 and seconds_spent >= 0 and token_count >= 0");
                    table.CheckConstraint("ck_completions_source", "source in ('human', 'model', 'edited')");
                    table.ForeignKey(
                        name: "fk_completions_assignments_assignment_id",
                        column: x => x.assignment_id,
                        principalTable: "assignments",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_completions_completions_edited_from_id",
                        column: x => x.edited_from_id,
                        principalTable: "completions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_completions_guideline_versions_guideline_version_id",
                        column: x => x.guideline_version_id,
                        principalTable: "guideline_versions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_completions_models_model_id",
                        column: x => x.model_id,
                        principalTable: "models",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_completions_prompts_prompt_id",
                        column: x => x.prompt_id,
                        principalTable: "prompts",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_completions_training_runs_run_id",
                        column: x => x.run_id,
                        principalTable: "training_runs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_completions_users_author_id",
                        column: x => x.author_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "rankings",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    task_id = table.Column<Guid>(type: "uuid", nullable: false),
                    assignment_id = table.Column<Guid>(type: "uuid", nullable: false),
                    prompt_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    guideline_version_id = table.Column<Guid>(type: "uuid", nullable: true),
                    shown_order = table.Column<Guid[]>(type: "uuid[]", nullable: false),
                    strength = table.Column<int>(type: "integer", nullable: true),
                    none_acceptable = table.Column<bool>(type: "boolean", nullable: false),
                    notes = table.Column<string>(type: "text", nullable: true),
                    seconds_spent = table.Column<int>(type: "integer", nullable: true),
                    surplus = table.Column<bool>(type: "boolean", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_rankings", x => x.id);
                    table.CheckConstraint("ck_rankings_seconds_spent", "seconds_spent >= 0");
                    table.CheckConstraint("ck_rankings_shown_order", "cardinality(shown_order) >= 2");
                    table.CheckConstraint("ck_rankings_strength", "strength between 1 and 4");
                    table.ForeignKey(
                        name: "fk_rankings_assignments_assignment_id",
                        column: x => x.assignment_id,
                        principalTable: "assignments",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_rankings_guideline_versions_guideline_version_id",
                        column: x => x.guideline_version_id,
                        principalTable: "guideline_versions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_rankings_prompts_prompt_id",
                        column: x => x.prompt_id,
                        principalTable: "prompts",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_rankings_tasks_task_id",
                        column: x => x.task_id,
                        principalTable: "tasks",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_rankings_users_user_id",
                        column: x => x.user_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "completion_scores",
                columns: table => new
                {
                    model_id = table.Column<Guid>(type: "uuid", nullable: false),
                    completion_id = table.Column<Guid>(type: "uuid", nullable: false),
                    split = table.Column<string>(type: "text", nullable: false),
                    score = table.Column<double>(type: "double precision", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_completion_scores", x => new { x.model_id, x.completion_id });
                    table.CheckConstraint("ck_completion_scores_split", "split in ('train', 'valid', 'test')");
                    table.ForeignKey(
                        name: "fk_completion_scores_completions_completion_id",
                        column: x => x.completion_id,
                        principalTable: "completions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_completion_scores_models_model_id",
                        column: x => x.model_id,
                        principalTable: "models",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "task_completions",
                columns: table => new
                {
                    task_id = table.Column<Guid>(type: "uuid", nullable: false),
                    completion_id = table.Column<Guid>(type: "uuid", nullable: false),
                    ordinal = table.Column<int>(type: "integer", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_task_completions", x => new { x.task_id, x.completion_id });
                    table.CheckConstraint("ck_task_completions_ordinal", "ordinal >= 0");
                    table.ForeignKey(
                        name: "fk_task_completions_completions_completion_id",
                        column: x => x.completion_id,
                        principalTable: "completions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_task_completions_tasks_task_id",
                        column: x => x.task_id,
                        principalTable: "tasks",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "dataset_items",
                columns: table => new
                {
                    dataset_version_id = table.Column<Guid>(type: "uuid", nullable: false),
                    split = table.Column<string>(type: "text", nullable: false),
                    ordinal = table.Column<int>(type: "integer", nullable: false),
                    prompt_id = table.Column<Guid>(type: "uuid", nullable: false),
                    completion_id = table.Column<Guid>(type: "uuid", nullable: true),
                    ranking_id = table.Column<Guid>(type: "uuid", nullable: true),
                    labeler_id = table.Column<Guid>(type: "uuid", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_dataset_items", x => new { x.dataset_version_id, x.split, x.ordinal });
                    table.CheckConstraint("ck_dataset_items_one_label", "completion_id is null or ranking_id is null");
                    table.CheckConstraint("ck_dataset_items_ordinal", "ordinal >= 0");
                    table.CheckConstraint("ck_dataset_items_split", "split in ('train', 'valid', 'test')");
                    table.ForeignKey(
                        name: "fk_dataset_items_completions_completion_id",
                        column: x => x.completion_id,
                        principalTable: "completions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_dataset_items_dataset_versions_dataset_version_id",
                        column: x => x.dataset_version_id,
                        principalTable: "dataset_versions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_dataset_items_prompts_prompt_id",
                        column: x => x.prompt_id,
                        principalTable: "prompts",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_dataset_items_rankings_ranking_id",
                        column: x => x.ranking_id,
                        principalTable: "rankings",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_dataset_items_users_labeler_id",
                        column: x => x.labeler_id,
                        principalTable: "users",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "ranking_entries",
                columns: table => new
                {
                    ranking_id = table.Column<Guid>(type: "uuid", nullable: false),
                    completion_id = table.Column<Guid>(type: "uuid", nullable: false),
                    rank = table.Column<int>(type: "integer", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_ranking_entries", x => new { x.ranking_id, x.completion_id });
                    table.CheckConstraint("ck_ranking_entries_rank", "rank >= 1");
                    table.ForeignKey(
                        name: "fk_ranking_entries_completions_completion_id",
                        column: x => x.completion_id,
                        principalTable: "completions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_ranking_entries_rankings_ranking_id",
                        column: x => x.ranking_id,
                        principalTable: "rankings",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "completion_ratings",
                columns: table => new
                {
                    ranking_id = table.Column<Guid>(type: "uuid", nullable: false),
                    completion_id = table.Column<Guid>(type: "uuid", nullable: false),
                    quality = table.Column<int>(type: "integer", nullable: true),
                    flags = table.Column<int>(type: "integer", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_completion_ratings", x => new { x.ranking_id, x.completion_id });
                    table.CheckConstraint("ck_completion_ratings_flags", "flags between 0 and 2047");
                    table.CheckConstraint("ck_completion_ratings_quality", "quality between 1 and 7");
                    table.ForeignKey(
                        name: "fk_completion_ratings_ranking_entries_ranking_id_completion_id",
                        columns: x => new { x.ranking_id, x.completion_id },
                        principalTable: "ranking_entries",
                        principalColumns: new[] { "ranking_id", "completion_id" },
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_completion_ratings_rankings_ranking_id",
                        column: x => x.ranking_id,
                        principalTable: "rankings",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "ix_api_keys_prefix",
                table: "api_keys",
                column: "prefix",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_api_keys_user_id",
                table: "api_keys",
                column: "user_id");

            migrationBuilder.CreateIndex(
                name: "ix_assignments_guideline_version_id",
                table: "assignments",
                column: "guideline_version_id");

            migrationBuilder.CreateIndex(
                name: "ix_assignments_task_id_overlap",
                table: "assignments",
                columns: new[] { "task_id", "overlap" });

            migrationBuilder.CreateIndex(
                name: "ix_assignments_task_id_slot",
                table: "assignments",
                columns: new[] { "task_id", "slot" },
                unique: true,
                filter: "state in ('active', 'submitted')");

            migrationBuilder.CreateIndex(
                name: "ix_assignments_task_id_user_id",
                table: "assignments",
                columns: new[] { "task_id", "user_id" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_assignments_user_id_state_finished_at",
                table: "assignments",
                columns: new[] { "user_id", "state", "finished_at" });

            migrationBuilder.CreateIndex(
                name: "ix_audit_events_actor_id",
                table: "audit_events",
                column: "actor_id");

            migrationBuilder.CreateIndex(
                name: "ix_audit_events_at",
                table: "audit_events",
                column: "at",
                descending: new bool[0]);

            migrationBuilder.CreateIndex(
                name: "ix_audit_events_subject",
                table: "audit_events",
                column: "subject");

            migrationBuilder.CreateIndex(
                name: "ix_completion_scores_completion_id",
                table: "completion_scores",
                column: "completion_id");

            migrationBuilder.CreateIndex(
                name: "ix_completions_assignment_id",
                table: "completions",
                column: "assignment_id",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_completions_author_id_created_at",
                table: "completions",
                columns: new[] { "author_id", "created_at" },
                filter: "author_id is not null");

            migrationBuilder.CreateIndex(
                name: "ix_completions_edited_from_id",
                table: "completions",
                column: "edited_from_id");

            migrationBuilder.CreateIndex(
                name: "ix_completions_guideline_version_id",
                table: "completions",
                column: "guideline_version_id");

            migrationBuilder.CreateIndex(
                name: "ix_completions_model_id",
                table: "completions",
                column: "model_id");

            migrationBuilder.CreateIndex(
                name: "ix_completions_prompt_id",
                table: "completions",
                column: "prompt_id");

            migrationBuilder.CreateIndex(
                name: "ix_completions_run_id_prompt_id_model_id_sample_index",
                table: "completions",
                columns: new[] { "run_id", "prompt_id", "model_id", "sample_index" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_dataset_items_completion_id",
                table: "dataset_items",
                column: "completion_id");

            migrationBuilder.CreateIndex(
                name: "ix_dataset_items_labeler_id",
                table: "dataset_items",
                column: "labeler_id");

            migrationBuilder.CreateIndex(
                name: "ix_dataset_items_prompt_id",
                table: "dataset_items",
                column: "prompt_id");

            migrationBuilder.CreateIndex(
                name: "ix_dataset_items_ranking_id",
                table: "dataset_items",
                column: "ranking_id");

            migrationBuilder.CreateIndex(
                name: "ix_dataset_versions_created_by_id",
                table: "dataset_versions",
                column: "created_by_id");

            migrationBuilder.CreateIndex(
                name: "ix_dataset_versions_project_id_number",
                table: "dataset_versions",
                columns: new[] { "project_id", "number" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_guideline_versions_author_id",
                table: "guideline_versions",
                column: "author_id");

            migrationBuilder.CreateIndex(
                name: "ix_guideline_versions_project_id_number",
                table: "guideline_versions",
                columns: new[] { "project_id", "number" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_invitations_created_at",
                table: "invitations",
                column: "created_at",
                descending: new bool[0]);

            migrationBuilder.CreateIndex(
                name: "ix_invitations_created_by_id",
                table: "invitations",
                column: "created_by_id");

            migrationBuilder.CreateIndex(
                name: "ix_invitations_token_hash",
                table: "invitations",
                column: "token_hash",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_invitations_used_by_id",
                table: "invitations",
                column: "used_by_id",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_models_parent_id",
                table: "models",
                column: "parent_id");

            migrationBuilder.CreateIndex(
                name: "ix_models_project_id_created_at",
                table: "models",
                columns: new[] { "project_id", "created_at" },
                descending: new[] { false, true });

            migrationBuilder.CreateIndex(
                name: "ix_models_promoted",
                table: "models",
                column: "project_id",
                unique: true,
                filter: "promoted_at is not null");

            migrationBuilder.CreateIndex(
                name: "ix_models_run_id",
                table: "models",
                column: "run_id",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_prompt_imports_created_by_id",
                table: "prompt_imports",
                column: "created_by_id");

            migrationBuilder.CreateIndex(
                name: "ix_prompt_imports_project_id_created_at",
                table: "prompt_imports",
                columns: new[] { "project_id", "created_at" },
                descending: new[] { false, true });

            migrationBuilder.CreateIndex(
                name: "ix_prompts_author_id",
                table: "prompts",
                column: "author_id");

            migrationBuilder.CreateIndex(
                name: "ix_prompts_import_id",
                table: "prompts",
                column: "import_id");

            migrationBuilder.CreateIndex(
                name: "ix_prompts_project_id_author_split",
                table: "prompts",
                columns: new[] { "project_id", "author", "split" });

            migrationBuilder.CreateIndex(
                name: "ix_prompts_project_id_category",
                table: "prompts",
                columns: new[] { "project_id", "category" });

            migrationBuilder.CreateIndex(
                name: "ix_prompts_project_id_content_hash",
                table: "prompts",
                columns: new[] { "project_id", "content_hash" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_prompts_project_id_created_at_id",
                table: "prompts",
                columns: new[] { "project_id", "created_at", "id" },
                descending: new[] { false, true, true });

            migrationBuilder.CreateIndex(
                name: "ix_prompts_project_id_external_id",
                table: "prompts",
                columns: new[] { "project_id", "external_id" },
                unique: true,
                filter: "external_id is not null");

            migrationBuilder.CreateIndex(
                name: "ix_ranking_entries_completion_id",
                table: "ranking_entries",
                column: "completion_id");

            migrationBuilder.CreateIndex(
                name: "ix_rankings_assignment_id",
                table: "rankings",
                column: "assignment_id",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_rankings_guideline_version_id",
                table: "rankings",
                column: "guideline_version_id");

            migrationBuilder.CreateIndex(
                name: "ix_rankings_prompt_id",
                table: "rankings",
                column: "prompt_id");

            migrationBuilder.CreateIndex(
                name: "ix_rankings_task_id",
                table: "rankings",
                column: "task_id");

            migrationBuilder.CreateIndex(
                name: "ix_rankings_user_id_created_at",
                table: "rankings",
                columns: new[] { "user_id", "created_at" });

            migrationBuilder.CreateIndex(
                name: "ix_task_completions_completion_id",
                table: "task_completions",
                column: "completion_id");

            migrationBuilder.CreateIndex(
                name: "ix_task_completions_task_id_ordinal",
                table: "task_completions",
                columns: new[] { "task_id", "ordinal" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_tasks_demonstration",
                table: "tasks",
                column: "prompt_id",
                unique: true,
                filter: "kind = 'demonstration' and state <> 'cancelled'");

            migrationBuilder.CreateIndex(
                name: "ix_tasks_open",
                table: "tasks",
                columns: new[] { "project_id", "kind", "priority", "created_at", "id" },
                descending: new[] { false, false, true, false, false },
                filter: "state = 'open'");

            migrationBuilder.CreateIndex(
                name: "ix_tasks_project_id_batch",
                table: "tasks",
                columns: new[] { "project_id", "batch" });

            migrationBuilder.CreateIndex(
                name: "ix_tasks_run_id_prompt_id",
                table: "tasks",
                columns: new[] { "run_id", "prompt_id" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_training_run_models_model_id",
                table: "training_run_models",
                column: "model_id");

            migrationBuilder.CreateIndex(
                name: "ix_training_run_models_run_id_role_model_id",
                table: "training_run_models",
                columns: new[] { "run_id", "role", "model_id" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_training_runs_created_by_id",
                table: "training_runs",
                column: "created_by_id");

            migrationBuilder.CreateIndex(
                name: "ix_training_runs_dataset_version_id",
                table: "training_runs",
                column: "dataset_version_id");

            migrationBuilder.CreateIndex(
                name: "ix_training_runs_leases",
                table: "training_runs",
                column: "lease_expires_at",
                filter: "state = 'running'");

            migrationBuilder.CreateIndex(
                name: "ix_training_runs_project_id_created_at_id",
                table: "training_runs",
                columns: new[] { "project_id", "created_at", "id" },
                descending: new[] { false, true, true });

            migrationBuilder.CreateIndex(
                name: "ix_training_runs_waiting",
                table: "training_runs",
                columns: new[] { "priority", "available_at", "id" },
                descending: new[] { true, false, false },
                filter: "state in ('available', 'retryable')");

            migrationBuilder.CreateIndex(
                name: "ix_user_claims_user_id",
                table: "user_claims",
                column: "user_id");

            migrationBuilder.CreateIndex(
                name: "ix_user_logins_user_id",
                table: "user_logins",
                column: "user_id");

            migrationBuilder.CreateIndex(
                name: "ix_users_normalized_email",
                table: "users",
                column: "normalized_email",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_users_normalized_user_name",
                table: "users",
                column: "normalized_user_name",
                unique: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "api_keys");

            migrationBuilder.DropTable(
                name: "audit_events");

            migrationBuilder.DropTable(
                name: "completion_ratings");

            migrationBuilder.DropTable(
                name: "completion_scores");

            migrationBuilder.DropTable(
                name: "data_protection_keys");

            migrationBuilder.DropTable(
                name: "dataset_files");

            migrationBuilder.DropTable(
                name: "dataset_items");

            migrationBuilder.DropTable(
                name: "invitations");

            migrationBuilder.DropTable(
                name: "model_files");

            migrationBuilder.DropTable(
                name: "run_metrics");

            migrationBuilder.DropTable(
                name: "task_completions");

            migrationBuilder.DropTable(
                name: "training_run_models");

            migrationBuilder.DropTable(
                name: "user_claims");

            migrationBuilder.DropTable(
                name: "user_logins");

            migrationBuilder.DropTable(
                name: "user_tokens");

            migrationBuilder.DropTable(
                name: "ranking_entries");

            migrationBuilder.DropTable(
                name: "completions");

            migrationBuilder.DropTable(
                name: "rankings");

            migrationBuilder.DropTable(
                name: "models");

            migrationBuilder.DropTable(
                name: "assignments");

            migrationBuilder.DropTable(
                name: "guideline_versions");

            migrationBuilder.DropTable(
                name: "tasks");

            migrationBuilder.DropTable(
                name: "prompts");

            migrationBuilder.DropTable(
                name: "training_runs");

            migrationBuilder.DropTable(
                name: "prompt_authors");

            migrationBuilder.DropTable(
                name: "prompt_imports");

            migrationBuilder.DropTable(
                name: "dataset_versions");

            migrationBuilder.DropTable(
                name: "projects");

            migrationBuilder.DropTable(
                name: "users");
        }
    }
}
