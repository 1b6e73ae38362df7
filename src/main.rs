//! The command line tool `ossicle`.

fn main() -> std::process::ExitCode {
    ossicle::adapters::cli::run()
}
