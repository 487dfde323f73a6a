using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Labeling.Migrations.Migrations
{
    /// <inheritdoc />
    public partial class DirectPreference : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropCheckConstraint(
                name: "ck_training_runs_stage",
                table: "training_runs");

            migrationBuilder.AddCheckConstraint(
                name: "ck_training_runs_stage",
                table: "training_runs",
                sql: "stage in ('sft', 'sample', 'reward', 'ppo', 'dpo')");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropCheckConstraint(
                name: "ck_training_runs_stage",
                table: "training_runs");

            migrationBuilder.AddCheckConstraint(
                name: "ck_training_runs_stage",
                table: "training_runs",
                sql: "stage in ('sft', 'sample', 'reward', 'ppo')");
        }
    }
}
