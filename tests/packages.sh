# Installs Debian packages. tests/run.sh and examples/quickstart.sh source this file.

# install_packages NAME...: installs the missing ones, as root or with sudo.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "installing: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "error: need root or sudo to install ${missing[*]}" >&2; return 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The packages that are needed to build qing.
build_packages=(g++ cmake ninja-build pkg-config libboost1.81-dev libboost-json1.81-dev libfmt-dev libeigen3-dev libutf8proc-dev
  libcli11-dev libtomlplusplus-dev libsqlite3-dev libarchive-dev libssl-dev libzip-dev libexpat1-dev libxlsxwriter-dev
  libpng-dev libjpeg62-turbo-dev zlib1g-dev
  ca-certificates)

# unpack_packages FOLDER NAME...: unpacks Debian packages into a folder. Unlike an installation this starts no service.
unpack_packages() {
  local folder=$1 name
  shift
  for name in "$@"; do
    [ -e "$folder/.$name" ] && continue
    echo "unpacking: $name"
    local downloads
    downloads=$(mktemp -d)
    (cd "$downloads" && apt-get download -qq "$name" >/dev/null 2>&1 && dpkg -x "$name"_*.deb "$downloads/files") || {
      rm -rf "$downloads"
      return 1
    }
    mkdir -p "$folder"
    cp -a "$downloads/files/." "$folder/"
    rm -rf "$downloads"
    touch "$folder/.$name"
  done
}
