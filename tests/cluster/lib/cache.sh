# shellcheck shell=bash
# Where everything that is built or run here lives: outside the repository, so that a second clone shares it.
export SIMPLEPIPE_CACHE=${SIMPLEPIPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/simplepipe}
mkdir -p "$SIMPLEPIPE_CACHE"

# digest FOLDER...: one short name for the content of folders or files, names included, wherever they lie.
digest() {
  local path
  for path; do
    if [[ -d $path ]]; then
      (cd "$path" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum)
    else
      sha256sum <"$path"
    fi
  done | sha256sum | cut -c1-16
}
