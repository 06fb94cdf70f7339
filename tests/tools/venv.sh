# Python environments, for scripts that source this.

# python_environment FOLDER REQUIREMENTS [BASE]: a virtual environment with the packages that the file lists. Those of the
# environment BASE are there as well, by a .pth file, so that what is large is fetched and kept once. What is there already
# and was made from the same files is left as it is.
python_environment() {
	local folder=$1 requirements=$2 base=${3:-}
	local wanted
	wanted="$(cat "$requirements" ${base:+"$base/made-from.txt"})"
	if [ -f "$folder/made-from.txt" ] && [ "$(cat "$folder/made-from.txt")" = "$wanted" ]; then
		return
	fi
	rm -rf "$folder"
	python3 -m venv "$folder" || return
	if [ -n "$base" ]; then
		local packages='import sysconfig; print(sysconfig.get_paths()["purelib"])'
		"$base/bin/python" -c "$packages" >"$("$folder/bin/python" -c "$packages")/base.pth"
	fi
	"$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" || return
	printf '%s\n' "$wanted" >"$folder/made-from.txt"
}
