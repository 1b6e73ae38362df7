# Short names for what is done often; `just check` does what CI does.

# Everything CI does, from formatting to fuzzing.
check:
    .ci/run

# The rules of the house alone, in a second.
tidy:
    cargo test --test tidy

# Formatting and lints, for the minute before a commit.
lint:
    cargo fmt --all --check
    cargo clippy --all-targets --all-features -- -D warnings

# The public API as it is now becomes the one that was agreed on.
public-api:
    OSSICLE_BLESS=1 cargo test --test public_api
